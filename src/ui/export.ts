// Values as files: safetensors, JSON and CSV. Texts are made in parts, so that a large value does not stop the page. No DOM here.
import { type Tensor, writeSafetensors } from '../index.ts';
import type { PageRun } from './page_run.ts';
import type { PageState } from './state.ts';

/** Elements between which others may have the main thread. */
const PART = 4096;

/**
 * A safetensors file of values under their own names, batch axis kept, as `hyaline trace --out` writes it.
 * @param names of captured values
 */
export async function valuesFile(
  run: PageRun,
  names: readonly string[],
  { state, adapter }: { readonly state: PageState; readonly adapter: string },
): Promise<Uint8Array<ArrayBuffer>> {
  const tensors: Tensor[] = [];
  for (const name of names) tensors.push(await run.cache.get(name).read());
  const edits = state.edits.filter(({ isOn }) => isOn);
  return writeSafetensors(
    tensors.map(({ name, shape, data }) => ({ name, dtype: 'F32', shape, data })),
    {
      format: 'pt',
      tokens: JSON.stringify([run.ids]),
      model: state.model,
      prompt: state.prompt,
      adapter,
      numerics: run.numerics,
      ...(edits.length > 0 && { interventions: JSON.stringify(edits) }),
    },
  );
}

/** Nine digits give every float32 back, and a minus before 0; what is not finite stands as it is called in JavaScript. */
function numberText(x: number): string {
  return Object.is(x, -0) ? '-0' : String(Number(x.toPrecision(9)));
}

/** One line for each element: its index along every axis, and the number. */
export function* csvParts({ data, shape, axes }: Tensor): Generator<string> {
  const header = `${[...axes, 'value'].join(',')}\n`;
  const index = shape.map(() => 0);
  yield header;
  for (let from = 0; from < data.length; from += PART) {
    let part = '';
    for (let i = from; i < Math.min(from + PART, data.length); i++) {
      part += `${index.join(',')},${numberText(data[i])}\n`;
      for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
    }
    yield part;
  }
}

/** `{ name, shape, axes, data }`, data row-major; JSON has no words for NaN and infinities, so these are strings. */
export function* jsonParts({ name, data, shape, axes }: Tensor): Generator<string> {
  yield `${JSON.stringify({ name, shape, axes }).slice(0, -1)},"data":[`;
  for (let from = 0; from < data.length; from += PART) {
    const part = Array.from(data.subarray(from, from + PART), (x) =>
      Number.isFinite(x) ? numberText(x) : `"${numberText(x)}"`,
    );
    yield `${from > 0 ? ',' : ''}${part.join(',')}`;
  }
  yield ']}\n';
}

/** The parts in one file; the page may draw between them. */
export async function blobOf(parts: Iterable<string>, type: string): Promise<Blob> {
  const all: string[] = [];
  for (const part of parts) {
    all.push(part);
    await new Promise((resolve) => setTimeout(resolve));
  }
  return new Blob(all, { type });
}
