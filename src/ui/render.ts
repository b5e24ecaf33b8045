// From a trace to DOM nodes. Text goes in as text nodes only: a token is never read as HTML.

import { formatNumber, formatProbability, quoteToken } from '../elements/text.ts';
import type { TokenProbability } from '../index.ts';
import { patternPicture } from './pattern_picture.ts';
import type { Trace, TracedValue } from './trace.ts';

/** The element with this id of index.html. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`page: index.html has no element with the id "${id}".`);
  return found as T;
}

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: { className?: string; title?: string } = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

interface Column<Row> {
  readonly title: string;
  readonly className?: string;
  readonly text: (row: Row) => string;
  readonly decorate?: (cell: HTMLElement, row: Row) => void;
}

function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): HTMLTableElement {
  const head = columns.map(({ title, className }) =>
    element('th', { className: className === 'number' ? className : '' }, title),
  );
  const body = rows.map((row) => {
    const cells = columns.map(({ className = '', text, decorate }) => {
      const cell = element('td', { className }, text(row));
      decorate?.(cell, row);
      return cell;
    });
    return element('tr', {}, ...cells);
  });
  return element('table', {}, element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...body));
}

function probabilityBar(cell: HTMLElement, { probability }: TokenProbability): void {
  cell.classList.add('probability');
  cell.style.setProperty('--share', String(probability));
}

export function nextTokenTable(top: readonly TokenProbability[]): HTMLTableElement {
  return table<TokenProbability>(
    [
      { title: 'token', className: 'token', text: ({ text }) => quoteToken(text) },
      { title: 'probability', text: ({ probability }) => formatProbability(probability), decorate: probabilityBar },
      { title: 'logit', className: 'number', text: ({ logit }) => logit.toFixed(3) },
      { title: 'id', className: 'number', text: ({ id }) => String(id) },
    ],
    top,
  );
}

export function lensTable(lens: Trace['lens']): HTMLTableElement {
  const others = (top: readonly TokenProbability[]) =>
    top.slice(1).map(({ text, probability }) => `${quoteToken(text)} ${formatProbability(probability)}`);
  return table<Trace['lens'][number]>(
    [
      { title: 'after', text: ({ layer }) => `layer ${layer}` },
      { title: 'token', className: 'token', text: ({ top }) => quoteToken(top[0].text) },
      {
        title: 'probability',
        text: ({ top }) => formatProbability(top[0].probability),
        decorate: (cell, { top }) => probabilityBar(cell, top[0]),
      },
      { title: 'then', className: 'token muted', text: ({ top }) => others(top).join('  ') },
    ],
    lens,
  );
}

/** What the statistics leave out, in words. */
function leftOut({ statistics }: TracedValue): string {
  const { nanCount, infiniteCount, maskedCount } = statistics;
  const parts = [`${nanCount} NaN`, `${infiniteCount} infinite`, `${maskedCount} masked`];
  return parts.filter((part) => !part.startsWith('0 ')).join(', ');
}

export function hookTable(values: readonly TracedValue[]): HTMLTableElement {
  const statistic = (key: 'mean' | 'std' | 'min' | 'max'): Column<TracedValue> => ({
    title: key,
    className: 'number',
    text: ({ statistics }) => (statistics.count === 0 ? '–' : formatNumber(statistics[key])),
  });
  return table<TracedValue>(
    [
      { title: 'name', className: 'name', text: ({ hook }) => hook.name },
      {
        title: 'shape',
        text: ({ shape }) => `[${shape.join(', ')}]`,
        decorate: (cell, { hook }) => {
          cell.title = `[${hook.axes.join(', ')}]`;
        },
      },
      statistic('mean'),
      statistic('std'),
      statistic('min'),
      statistic('max'),
      { title: 'left out', className: 'muted', text: leftOut },
      { title: 'what it is', className: 'muted', text: ({ hook }) => hook.description },
    ],
    values,
  );
}

/** One picture per head, layers as rows; `say` gets the cell under the pointer in words. */
export function patternGrid({ patterns, tokens }: Trace, say: (text: string) => void): Node[] {
  const pos = tokens.length;
  const nHeads = patterns[0]?.shape[1] ?? 0;
  const heads = Array.from({ length: nHeads }, (_, head) => head);
  const rows = patterns.map(({ name, data }) => {
    const layer = name.split('.')[1];
    const pictures = heads.map((head) => {
      const pattern = data.subarray(head * pos * pos, (head + 1) * pos * pos);
      const picture = patternPicture(pattern, pos);
      picture.title = `${layer}.${head}`;
      picture.setAttribute('role', 'img');
      picture.setAttribute('aria-label', `attention pattern of layer ${layer}, head ${head}`);
      picture.onpointermove = ({ offsetX, offsetY }) => {
        const query = Math.min(Math.max(Math.floor((offsetY / picture.clientHeight) * pos), 0), pos - 1);
        const key = Math.min(Math.max(Math.floor((offsetX / picture.clientWidth) * pos), 0), pos - 1);
        const [from, to] = [quoteToken(tokens[query]), quoteToken(tokens[key])];
        const share = key > query ? 'cannot look' : `gives ${formatProbability(pattern[query * pos + key])}`;
        say(`${layer}.${head}: position ${query} ${from} ${share} to position ${key} ${to}`);
      };
      return picture;
    });
    return [element('span', {}, `layer ${layer}`), ...pictures];
  });
  return [element('span'), ...heads.map((head) => element('span', {}, `head ${head}`)), ...rows.flat()];
}
