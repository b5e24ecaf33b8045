// The elements that show a run, in a page: what they say against what the library reads, choosing by mouse and keyboard, and the quiet
// sentences for runs that lack something. One tiny model for all.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  type HyalineAttention,
  type HyalineLogitLens,
  type HyalineTokens,
  type ShownModel,
  type ShownRun,
  shownTensor,
} from '../../src/elements/index.ts';
import { shade } from '../../src/elements/shade.ts';
import {
  duplicateTokenScore,
  inductionScore,
  type LensRow,
  logitLens,
  Model,
  previousTokenScore,
  type RunWithCacheResult,
  type Tensor,
  topTokens,
} from '../../src/index.ts';
import { testDevice, withErrorScopes } from '../device.ts';
import { TINY_CONFIGS, tinyModel } from '../models/tiny.ts';

const IDS = [3, 14, 15, 9, 14];
const MARKUP = '<img src=x onerror="globalThis.pwned = true">';
const LABEL = '<img·src=x·onerror="globalThis.pwned·=·true">';
/** Tokens that would be an attack if any of them were read as HTML. */
const WORDS: ShownModel = {
  config: { nLayers: 2, nHeads: 3 },
  tokenizer: { tokenText: (id) => (id === 3 ? MARKUP : ` é${id}`) },
};

/** What runs capture; a few that lack something, the last block's only. The same each time: kernels compile once. */
const NAMES = ['blocks.*.hook_resid_post', 'blocks.*.attn.hook_pattern'];
const LACKING = ['blocks.1.hook_resid_post', 'blocks.1.attn.hook_pattern'];

let model: Model;
let run: RunWithCacheResult;

beforeAll(async () => {
  model = await Model.load(tinyModel(TINY_CONFIGS.gpt2, 1), { device: await testDevice() });
  run = await model.runWithCache([IDS], { names: NAMES });
});

afterAll(() => {
  run.cache.destroy();
  model.destroy();
});

afterEach(() => {
  document.body.replaceChildren();
});

/** A test in which WebGPU must not complain. */
const gpuTest = (name: string, f: () => Promise<void>) =>
  test(name, async () => withErrorScopes(await testDevice(), f));

/** An element on the page, with these properties. */
function shown<Name extends 'hyaline-tokens' | 'hyaline-logit-lens' | 'hyaline-attention'>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]>,
): HTMLElementTagNameMap[Name] {
  const element = Object.assign(document.createElement(name), properties);
  document.body.append(element);
  return element;
}

const all = (element: HTMLElement, selector: string) => [
  ...(element.shadowRoot?.querySelectorAll<HTMLElement>(selector) ?? []),
];
const textOf = (element: HTMLElement, selector: string) =>
  all(element, selector).map((found) => found.textContent?.trim());

/** Details of the element's `hyaline-select` events, as they come. */
function selections(element: HTMLElement): unknown[] {
  const details: unknown[] = [];
  element.addEventListener('hyaline-select', (event) => details.push((event as CustomEvent).detail));
  return details;
}

function press(element: HTMLElement, key: string): void {
  const focused = element.shadowRoot?.activeElement ?? all(element, '[tabindex="0"]')[0];
  focused.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, composed: true, cancelable: true }));
}

/** What has the focus, in words. */
function focused(element: HTMLElement): string | null | undefined {
  const active = element.shadowRoot?.activeElement;
  return active?.getAttribute('aria-label') ?? active?.textContent?.replace(/\s+/g, ' ');
}

test('tokens: text, id, position and bytes, and nothing of it is HTML', async () => {
  const tokens = shown('hyaline-tokens', { model: WORDS, run });
  await tokens.updateComplete;
  expect(textOf(tokens, '.text')).toEqual([LABEL, '·é14', '·é15', '·é9', '·é14']);
  expect(textOf(tokens, '.id')).toEqual(['3', '14', '15', '9', '14']);
  expect(all(tokens, 'img')).toEqual([]);
  tokens.selected = 3;
  await tokens.updateComplete;
  expect(textOf(tokens, '.detail')).toEqual(['position 3 · id 9 · " é9" · bytes 20 c3 a9 39']);
  expect(Object.hasOwn(globalThis, 'pwned')).toBe(false);
});

test('tokens: a click and the arrow keys choose one, and focus follows', async () => {
  const tokens = shown('hyaline-tokens', { model: WORDS, run });
  await tokens.updateComplete;
  const details = selections(tokens);
  all(tokens, '[role=option]')[2].click();
  await tokens.updateComplete;
  for (const key of ['ArrowRight', 'End', 'ArrowRight', 'Home', 'ArrowLeft', 'x']) {
    press(tokens, key);
    await tokens.updateComplete;
  }
  expect(details.map((detail) => (detail as { pos: number }).pos)).toEqual([2, 3, 4, 4, 0, 0]);
  expect(details[1]).toEqual({ pos: 3, id: 9, text: ' é9' });
  expect(all(tokens, '[aria-selected=true]').length).toBe(1);
  expect(all(tokens, '[tabindex="0"]').length).toBe(1);
  expect(focused(tokens)).toBe(`${LABEL}3, position 0`);
});

test('tokens: values colour them, also for those who do not see', async () => {
  const tokens = shown('hyaline-tokens', { model, run, valuesName: 'loss', values: [null, 4, 1, 2, 0.5] });
  await tokens.updateComplete;
  const options = all(tokens, '[role=option]');
  expect(options.map((option) => option.style.backgroundColor)).toEqual([
    '',
    'rgb(253, 231, 37)', // the last of viridis
    expect.stringMatching(/^rgb/),
    expect.stringMatching(/^rgb/),
    expect.stringMatching(/^rgb/),
  ]);
  expect(options[1].textContent).toBe('1414, position 1, loss 4.000'); // text and id: the model has no tokenizer
  expect(textOf(tokens, '.legend')[0]?.replace(/\s+/g, ' ')).toBe('loss 04.000');
  tokens.values = [1];
  await tokens.updateComplete;
  expect(textOf(tokens, '.foot')[0]).toContain('values: expected one number for each of 5 tokens, got 1.');
});

test('tokens: ids without a run, and sentences where there is nothing', async () => {
  const tokens = shown('hyaline-tokens', { ids: [7] });
  await tokens.updateComplete;
  expect(textOf(tokens, '.text')).toEqual(['7']);
  const empty: [Partial<HyalineTokens>, string][] = [
    [{ ids: null }, 'No run yet.'],
    [{ run: { cache: { ...recordedCache, tokens: null } } }, 'The tokens of this run are not known.'],
    [{ run, batch: 3 }, 'No tokens.'],
  ];
  for (const [properties, sentence] of empty) {
    Object.assign(tokens, properties);
    await tokens.updateComplete;
    expect(textOf(tokens, '[role=status]')).toEqual([sentence]);
  }
});

/** A recording that captured nothing. */
const recordedCache: ShownRun['cache'] = {
  names: [],
  tokens: [IDS],
  has: () => false,
  get: (name) => {
    throw new Error(`no ${name}`);
  },
};

/** What the lens says once it has computed. */
async function settled(lens: HyalineLogitLens): Promise<void> {
  await expect.poll(() => lens.shadowRoot?.textContent).not.toContain('Computing …');
  await expect.poll(() => all(lens, '[aria-busy=true]').length).toBe(0);
}

gpuTest('logit lens: the last row is the model, for every position', async () => {
  const lens = shown('hyaline-logit-lens', { model, run, k: 3 });
  await settled(lens);
  expect(textOf(lens, 'tbody th')).toEqual(['0', '1 = model']);
  expect(textOf(lens, 'thead th').slice(1)).toEqual(IDS.map((id, pos) => `${pos}${id}`));
  const cells = all(lens, 'tbody tr:last-child td');
  expect(cells.length).toBe(IDS.length);
  for (const [pos, cell] of cells.entries()) {
    cell.dispatchEvent(new PointerEvent('pointerover', { bubbles: true }));
    await lens.updateComplete;
    const top = topTokens(model, run.logits, 3, { pos });
    expect(textOf(lens, 'li span:first-child')).toEqual(top.map(({ text }) => `"${text}"`));
    // four decimals of a float32
    const errors = textOf(lens, 'li span:last-child').map((text, i) => Math.abs(Number(text) - top[i].probability));
    expect(Math.max(...errors)).toBeLessThanOrEqual(0.5e-4 + 1e-6);
    expect(cell.textContent?.trim()).toBe(top[0].text);
  }
  expect(all(lens, '[popover]')[0].matches(':popover-open')).toBe(true);
});

gpuTest('logit lens: arrow keys move, Enter chooses, Escape closes', async () => {
  const lens = shown('hyaline-logit-lens', { model, run });
  await settled(lens);
  const details = selections(lens);
  for (const key of ['ArrowDown', 'ArrowRight', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Enter']) {
    press(lens, key);
    await lens.updateComplete;
    await lens.updateComplete; // focus opens the list
  }
  const [row] = (await logitLens(model, run.cache, { pos: 2, names: 'blocks.1.hook_resid_post' })) as [LensRow];
  expect(details).toEqual([{ layer: 1, pos: 2, token: row.top[0] }]);
  expect(focused(lens)).toContain('blocks.1.hook_resid_post, position 2');
  expect(all(lens, '[aria-selected=true]').map(({ dataset }) => ({ ...dataset }))).toEqual([{ row: '1', column: '2' }]);
  expect(all(lens, '[popover]')[0].matches(':popover-open')).toBe(true);
  press(lens, 'Escape');
  await lens.updateComplete;
  expect(all(lens, '[popover]')[0].matches(':popover-open')).toBe(false);
});

gpuTest('logit lens: recorded rows overtake a computation, and are no HTML', async () => {
  const lens = shown('hyaline-logit-lens', { model, run });
  await lens.updateComplete;
  expect(textOf(lens, '[role=status]')).toEqual(['Computing …']);
  const top = [{ id: 3, text: MARKUP, probability: 0.5, logit: 1 }];
  lens.rows = [{ name: 'blocks.0.hook_resid_post', layer: 0, batch: 0, pos: 4, top }];
  await lens.updateComplete;
  await logitLens(model, run.cache, { pos: {} }); // by now the first one has ended, too
  await settled(lens);
  expect(textOf(lens, 'td')).toEqual([LABEL]);
  expect(textOf(lens, 'thead th')).toEqual(['block', '414']);
  expect(all(lens, 'img')).toEqual([]);
});

gpuTest('logit lens: a quiet sentence where there is nothing to show', async () => {
  const lens = shown('hyaline-logit-lens', { model });
  const gone = await model.runWithCache([IDS], { names: NAMES });
  gone.cache.destroy();
  const lacking = await model.runWithCache([IDS], { names: LACKING });
  const empty: [Partial<HyalineLogitLens>, string][] = [
    [{}, 'No run yet.'],
    [{ run: { cache: recordedCache } }, 'There are no rows for this recorded run.'],
    [{ run: lacking }, 'This run did not capture blocks.0.hook_resid_post. Ask for it with { names: … }.'],
    [{ run: gone }, 'cache: it has been destroyed, its values are gone. Keep what you read, or run again.'],
  ];
  for (const [properties, sentence] of empty) {
    Object.assign(lens, properties);
    await lens.updateComplete;
    await settled(lens);
    expect(textOf(lens, '[role=status]')).toEqual([sentence]);
  }
  lacking.cache.destroy();
});

const PATTERN = 'blocks.1.attn.hook_pattern';
const HEAD = 2;
const POS = IDS.length;

/** Weight of a query for a key in head 1.2. */
const weight = ({ data }: Tensor, query: number, key: number) => data[(HEAD * POS + query) * POS + key];

/** What the element shows once it has read its numbers. */
async function readNumbers(attention: HyalineAttention): Promise<void> {
  await expect.poll(() => all(attention, 'line').length).toBeGreaterThan(0);
}

/** The middle of a cell of the large pattern. */
function pointAt(attention: HyalineAttention, query: number, key: number, type = 'pointermove'): void {
  const [large] = all(attention, '.large');
  const { left, top, width, height } = large.getBoundingClientRect();
  const [clientX, clientY] = [left + ((key + 0.5) / POS) * width, top + ((query + 0.5) / POS) * height];
  large.dispatchEvent(new PointerEvent(type, { clientX, clientY, bubbles: true }));
}

gpuTest('attention: the number under the pointer is that of the cache, bit for bit', async () => {
  const attention = shown('hyaline-attention', { model, run, layer: 1, head: HEAD });
  await readNumbers(attention);
  const tensor = await run.cache.read(PATTERN);
  for (let query = 0; query < POS; query++) {
    for (let key = 0; key < POS; key++) {
      pointAt(attention, query, key);
      await attention.updateComplete;
      expect(Math.fround(Number(textOf(attention, '.number')[0]))).toBe(weight(tensor, query, key));
    }
  }
  expect(textOf(attention, 'output')[0]).toMatch(/^4 "14" looks at 4 "14"/);
});

gpuTest('attention: heads and cells are chosen by mouse and keyboard', async () => {
  const attention = shown('hyaline-attention', { model, run });
  await attention.updateComplete;
  const details = selections(attention);
  all(attention, '[data-layer="1"][data-head="1"]')[0].click();
  await attention.updateComplete;
  for (const key of ['ArrowRight', 'ArrowRight', 'ArrowUp', 'ArrowLeft']) {
    press(attention, key);
    await attention.updateComplete;
  }
  expect(details.map((detail) => Object.values(detail as object).join())).toEqual([
    '1,1,,',
    '1,2,,',
    '1,2,,',
    '0,2,,',
    '0,1,,',
  ]);
  await expect.poll(() => focused(attention)).toContain('head 0.1');
  pointAt(attention, 3, 2, 'click');
  await attention.updateComplete;
  const [large] = all(attention, '.large');
  large.focus();
  for (const key of ['ArrowDown', 'ArrowLeft', 'Enter']) {
    press(attention, key);
    await attention.updateComplete;
  }
  expect(details.slice(5)).toEqual([
    { layer: 0, head: 1, query: 3, key: 2 },
    { layer: 0, head: 1, query: 4, key: 1 },
  ]);
});

gpuTest('attention: a line for each weight that can be seen, of one token while it is pointed at', async () => {
  const attention = shown('hyaline-attention', { model: WORDS, run, layer: 1, head: HEAD });
  await readNumbers(attention);
  const tensor = await run.cache.read(PATTERN);
  const cells = IDS.flatMap((_, query) => IDS.map((_, key) => ({ query, key, w: weight(tensor, query, key) })));
  const opacities = (wanted: (cell: { query: number; key: number }) => boolean) =>
    cells.filter((cell) => cell.w >= 0.01 && wanted(cell)).map(({ w }) => w.toFixed(3));
  const drawn = () => all(attention, 'line').map((line) => line.getAttribute('stroke-opacity'));
  expect(drawn().sort()).toEqual(opacities(() => true).sort());
  all(attention, '[data-side=key][data-pos="1"]')[0].dispatchEvent(new PointerEvent('pointerover', { bubbles: true }));
  await attention.updateComplete;
  expect(drawn().sort()).toEqual(opacities(({ key }) => key === 1).sort());
  all(attention, '.lines')[0].dispatchEvent(new PointerEvent('pointerleave'));
  all(attention, '[data-side=query][data-pos="3"]')[0].click();
  await attention.updateComplete;
  expect(drawn().sort()).toEqual(opacities(({ query }) => query === 3).sort());
  attention.query = POS; // of a longer run
  await attention.updateComplete;
  expect([attention.query, drawn().sort()]).toEqual([null, opacities(() => true).sort()]);
  expect(textOf(attention, '[data-side=query] span:not(.unseen)')[0]).toBe(LABEL);
  expect(all(attention, 'img')).toEqual([]);
});

gpuTest('attention: scores under every head are those of the library, or those that are given', async () => {
  const attention = shown('hyaline-attention', { model, run });
  await expect.poll(() => all(attention, '.score').length).toBe(2 * 3 * 3);
  const options = { tokens: [IDS] };
  const wanted = await Promise.all([
    previousTokenScore(model, run.cache),
    duplicateTokenScore(model, run.cache, options),
    inductionScore(model, run.cache, options),
  ]);
  const labels = ['prev', 'dup', 'ind'];
  const texts = [0, 1, 2, 3, 4, 5].flatMap((head) => wanted.map(({ data }, i) => labels[i] + data[head].toFixed(2)));
  expect(textOf(attention, '.score')).toEqual(texts);
  attention.scores = [{ name: 'mine', label: 'm', scores: { ...wanted[0], data: Float32Array.of(0, 1, 0, 0, 0, 0) } }];
  await attention.updateComplete;
  expect(textOf(attention, '.score')).toEqual(['m0.00', 'm1.00', 'm0.00', 'm0.00', 'm0.00', 'm0.00']);
  expect(textOf(attention, '.head')[1]).toBe('head 0.1m1.00');
});

gpuTest('attention: a recording is drawn from its numbers, each head in its place', async () => {
  const tensors = new Map<string, Tensor>();
  for (const layer of [0, 1]) {
    tensors.set(`blocks.${layer}.attn.hook_pattern`, await run.cache.read(`blocks.${layer}.attn.hook_pattern`));
  }
  const get = (name: string) => shownTensor(tensors.get(name) as Tensor);
  const cache = { names: [...tensors.keys()], tokens: [IDS], has: (name: string) => tensors.has(name), get };
  const attention = shown('hyaline-attention', { model: WORDS, run: { cache }, layer: 1, head: HEAD });
  await readNumbers(attention);
  const canvas = all(attention, 'canvas[data-layer="1"]')[0] as HTMLCanvasElement;
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  const cellPx = 76 / POS;
  const colourOf = (query: number, key: number) => {
    const [x, y] = [2 * (76 + 6) + (key + 0.5) * cellPx, (query + 0.5) * cellPx].map((at) => at * devicePixelRatio);
    return `rgb(${context.getImageData(x, y, 1, 1).data.slice(0, 3).join(' ')})`;
  };
  await expect.poll(() => colourOf(0, 0)).toBe('rgb(253 231 37)'); // the first token looks at itself: 1
  const tensor = tensors.get(PATTERN) as Tensor;
  for (let query = 0; query < POS; query++) {
    for (let key = 0; key < POS; key++) {
      const { 'background-color': want } = shade({ map: 'viridis', low: 0, high: 1 }, weight(tensor, query, key));
      expect(colourOf(query, key), `${query}, ${key}`).toBe(want);
    }
  }
});

gpuTest('attention: a run that overtakes another is the one that is shown', async () => {
  const tensor = await run.cache.read(PATTERN);
  const waiting: ((tensor: Tensor) => void)[] = [];
  const slow = { ...shownTensor(tensor), read: () => new Promise<Tensor>((resolve) => waiting.push(resolve)) };
  const recorded = { names: [PATTERN], tokens: [IDS], has: () => true, get: () => slow };
  const attention = shown('hyaline-attention', { model, run: { cache: recorded } });
  await attention.updateComplete;
  attention.run = run;
  await readNumbers(attention);
  const drawn = all(attention, 'line').map((line) => line.getAttribute('stroke-opacity'));
  for (const resolve of waiting) resolve({ ...tensor, data: new Float32Array(tensor.data.length).fill(0.5) });
  await new Promise((resolve) => setTimeout(resolve)); // behind everything that waited for it
  await attention.updateComplete;
  expect(waiting.length).toBeGreaterThan(0);
  expect(all(attention, 'line').map((line) => line.getAttribute('stroke-opacity'))).toEqual(drawn);
});

gpuTest('attention: back on the page it is drawn again, and says so once the values are gone', async () => {
  const other = await model.runWithCache([[1, 2]], { names: NAMES });
  const attention = shown('hyaline-attention', { model, run: other });
  await readNumbers(attention);
  attention.remove();
  document.body.append(attention);
  await readNumbers(attention);
  expect(textOf(attention, '.query span:not(.unseen)')).toEqual(['1', '2']);
  expect(textOf(attention, '.foot[role=status]')).toEqual(['']);
  other.cache.destroy();
  attention.layer = 1;
  await expect.poll(() => textOf(attention, '.foot[role=status]')[0]).toContain('it has been destroyed');
});

gpuTest('attention: a quiet sentence where there is nothing to show', async () => {
  const attention = shown('hyaline-attention', { model });
  const gone = await model.runWithCache([IDS], { names: NAMES });
  gone.cache.destroy();
  const lacking = await model.runWithCache([IDS], { names: LACKING });
  const empty: [Partial<HyalineAttention>, string][] = [
    [{}, 'No run yet.'],
    [
      { run: { cache: recordedCache } },
      `This run did not capture blocks.0.attn.hook_pattern and 1 more. Ask for it with { names: … }.`,
    ],
    [{ run: gone }, 'cache: it has been destroyed, its values are gone. Keep what you read, or run again.'],
    [{ run: lacking }, 'This run did not capture blocks.0.attn.hook_pattern. Ask for it with { names: … }.'],
  ];
  for (const [properties, sentence] of empty) {
    Object.assign(attention, properties);
    await attention.updateComplete;
    expect(textOf(attention, '[role=status]')).toEqual([sentence]);
  }
  expect(all(attention, '.head').length).toBe(3); // what there is, is shown
  await readNumbers(attention);
  lacking.cache.destroy();
});
