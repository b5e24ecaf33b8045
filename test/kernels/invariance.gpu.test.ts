// What changes no bit of a kernel's result: the rows beside a row, the batch around it, and which outputs are stored.

import { expect, test } from 'vitest';
import { isWritable, type Kernel, presentBindings, type Variant } from '../../src/kernels/kernel.ts';
import { inChromeEvery } from '../sample.ts';
import { CASES, createInputs, findCase, type KernelCase } from './cases.ts';
import { asFloats, axesOf, GARBAGE, type Inputs, runKernel } from './harness.ts';

type Bits = Uint32Array<ArrayBuffer>;

const run = (kernel: Kernel, variant: Variant, inputs: Inputs) => runKernel(kernel, variant, inputs, GARBAGE[0]);

/** The variant on other rows, and the inputs cut accordingly: those with a batch axis to what `cut` leaves of them. */
function onRows({ kernel, variant }: KernelCase, inputs: Inputs, rows: { batch: number; pos: number }, at: number) {
  const dims = { ...variant.dims, ...rows, outputs: rows.pos };
  const part: Record<string, Inputs[string]> = {};
  for (const binding of presentBindings(kernel, variant)) {
    if (isWritable(binding)) continue;
    const data = inputs[binding.name];
    if (binding.shape[0] !== 'batch') {
      part[binding.name] = data;
      continue;
    }
    const rowWords = data.length / variant.dims.batch / (rows.batch === 1 && rows.pos === 1 ? variant.dims.pos : 1);
    part[binding.name] = data.slice(at * rowWords, (at + 1) * rowWords);
  }
  return { variant: { ...variant, dims }, inputs: part };
}

test.each([
  ['matmul', 'd_in 512, d_out 128'],
  ['matmul', 'd_in 64, d_out 172'],
  ['matmul', 'pos 33, d_in 65, d_out 31'],
  ['unembed', 'pos 64, d_model 128'],
  ['unembed', 'pos 33, d_model 63'],
  ['output_projection', 'pos 64'],
  ['output_projection', 'pos 33'],
])('%s gives one row the bits that it has among many (%s)', async (file, words) => {
  const many = findCase(file, words);
  const { kernel, variant } = many;
  const inputs = createInputs(many);
  const whole = await run(kernel, variant, inputs);
  const { pos } = variant.dims;
  for (const row of [0, 7, 8, pos - 1]) {
    const one = onRows(many, inputs, { batch: 1, pos: 1 }, row);
    const alone = await run(kernel, one.variant, one.inputs);
    for (const [name, bits] of Object.entries(alone)) {
      const rowWords = whole[name].length / pos;
      expect(bits, `${name} of row ${row}`).toEqual(whole[name].slice(row * rowWords, (row + 1) * rowWords));
    }
  }
});

test.each(
  inChromeEvery(
    4,
    Object.keys(CASES).filter((file) => file !== 'statistics' && file !== 'edit'),
  ),
)('%s gives a batch of three the bits that each has alone', async (file) => {
  const three = CASES[file].find(({ variant }) => variant.dims.batch === 3 && variant.dims.pos > 1)!;
  const { kernel, variant } = three;
  const inputs = createInputs(three);
  const whole = await run(kernel, variant, inputs);
  for (const batch of [0, 1, 2]) {
    const one = onRows(three, inputs, { batch: 1, pos: variant.dims.pos }, batch);
    const alone = await run(kernel, one.variant, one.inputs);
    for (const [name, bits] of Object.entries(alone)) {
      expect(bits, `${name} of batch ${batch}`).toEqual(
        whole[name].slice(batch * bits.length, (batch + 1) * bits.length),
      );
    }
  }
});

/** The first `pos` positions along every axis of that size. */
function prefix<T extends Inputs[string]>(data: T, shape: readonly number[], positions: readonly number[]): T {
  const keep: number[] = [];
  for (let i = 0; i < data.length; i++) {
    let rest = i;
    let inside = true;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      inside &&= rest % shape[axis] < positions[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    if (inside) keep.push(data[i]);
  }
  return (data instanceof Uint32Array ? Uint32Array.from(keep) : Float32Array.from(keep)) as T;
}

test.each(['attention_scores', 'attention_pattern', 'attention_values'])(
  '%s gives the beginning of a text the bits that it has inside of a longer one',
  async (file) => {
    const long =
      file === 'attention_pattern'
        ? findCase(file, 'pos 65', 'causal')
        : findCase(file, 'pos 64', 'n_heads 4', 'd_head 32');
    const { kernel, variant } = long;
    const inputs = createInputs(long);
    const whole = await run(kernel, variant, inputs);
    const shapeOf = (name: string, dims: Variant['dims']) => {
      const binding = presentBindings(kernel, variant).find((candidate) => candidate.name === name)!;
      const sizes = axesOf(binding, dims).map(({ size }) => size);
      return binding.element === 'vec4f' ? [...sizes.slice(0, -1), 4 * sizes[sizes.length - 1]] : sizes;
    };
    for (const pos of [1, 5, 9, 33]) {
      const dims = { ...variant.dims, pos, keys: pos, key_stride: pos };
      const cut = <T extends Inputs[string]>(name: string, data: T) =>
        prefix(data, shapeOf(name, variant.dims), shapeOf(name, dims));
      const part = Object.fromEntries(Object.entries(inputs).map(([name, data]) => [name, cut(name, data)]));
      const short = await run(kernel, { ...variant, dims }, part);
      expect(short.out, `${pos} positions`).toEqual(cut('out', whole.out));
    }
  },
);

test.each([
  ['norm', 'd_model 128; centred true', ['scale', 'normalized', 'out']],
  ['norm', 'd_model 128; centred false', ['scale', 'normalized', 'out']],
  ['output_projection', 'd_model 33; seed', ['result', 'out']],
  ['activation', 'actFn silu; seed', ['gate', 'post']],
  ['residual_stack', 'd_model 65, component', ['vectors', 'projected']],
  ['top_tokens', 'd_vocab_out 129', ['top', 'total']],
  ['pattern_match', 'pos 130', ['matched', 'total', 'difference']],
] as const)('%s gives the same bits whichever of its outputs are stored (%s)', async (file, words, outputs) => {
  const whole = findCase(file, words);
  const { kernel, variant } = whole;
  const inputs = createInputs(whole);
  const all = await run(kernel, variant, inputs);
  expect(Object.keys(all)).toEqual(outputs);
  for (let subset = 1; subset < 2 ** outputs.length - 1; subset++) {
    const stored = outputs.filter((_, i) => subset & (1 << i));
    const has = (name: string) =>
      variant.has(name) && (stored.includes(name as never) || !outputs.includes(name as never));
    const some = await run(kernel, { ...variant, has }, inputs);
    expect(Object.keys(some)).toEqual(stored);
    for (const name of stored) expect(some[name], `${name} of ${stored.join(' and ')}`).toEqual(all[name]);
  }
});

test('output_projection adds its results in the order of the heads, then the bias, each addition rounded to float32', async () => {
  for (const words of ['d_model 33; seed', 'd_model 33; without b_O']) {
    const projection = findCase('output_projection', 'n_heads 4, d_head 16', words);
    const { kernel, variant } = projection;
    const inputs = createInputs(projection);
    const { result, out } = await run(kernel, variant, inputs);
    const { n_heads, d_model } = variant.dims;
    const parts = asFloats(result);
    const sums = Float32Array.from({ length: out.length }, (_, i) => {
      const row = Math.floor(i / d_model);
      let sum = 0;
      for (let head = 0; head < n_heads; head++) {
        sum = Math.fround(sum + parts[(row * n_heads + head) * d_model + (i % d_model)]);
      }
      return inputs.b_O ? Math.fround(sum + inputs.b_O[i % d_model]) : sum;
    });
    expect(out).toEqual(new Uint32Array(sums.buffer) satisfies Bits);
  }
});
