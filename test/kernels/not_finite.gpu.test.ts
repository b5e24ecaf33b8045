// NaN in an input comes out of every kernel wherever float64 has it, and nowhere else. What infinities do to the scalar functions
// is in functions.gpu.test.ts, what both do to a whole model in test/models/not_finite.gpu.test.ts.
import { expect, test } from 'vitest';
import { presentBindings } from '../../src/kernels/kernel.ts';
import { createInputs, findCase, type KernelCase } from './cases.ts';
import { asFloats, GARBAGE, runKernel, toFloat64 } from './harness.ts';
import { truthOf } from './truths.ts';

/** A case, and the input of it that gets two NaN, of either sign. */
const SPOILED: readonly (readonly [KernelCase, string])[] = [
  [findCase('activation', 'relu; without pre_linear', 'one-hot'), 'pre'],
  [findCase('activation', 'silu; without pre_linear', 'one-hot'), 'pre'],
  [findCase('activation', 'gelu; without pre_linear', 'one-hot'), 'pre'],
  [findCase('activation', 'gelu_new; without pre_linear', 'one-hot'), 'pre'],
  [findCase('add', 'one-hot'), 'a'],
  [findCase('attention_pattern', 'scores without a mask', 'batch 3'), 'scores'],
  [findCase('attention_pattern', 'one key per row'), 'scores'],
  [findCase('attention_pattern', 'every third row masked'), 'scores'],
  [findCase('attention_scores', 'batch 3, pos 9', 'softCap 0', 'one-hot'), 'q'],
  [findCase('attention_scores', 'batch 3, pos 9', 'softCap 50', 'one-hot'), 'q'],
  [findCase('attention_values', 'batch 3, pos 9', 'one-hot'), 'v'],
  [findCase('edit', 'op clamp'), 'values'],
  [findCase('edit', 'op add; masked true'), 'values'],
  [findCase('edit', 'op set; masked true'), 'operand'],
  [findCase('matmul', 'd_in 65', 'one-hot'), 'x'],
  [findCase('mean', 'one-hot'), 'x'],
  [findCase('norm', 'centred true', 'one-hot'), 'x'],
  [findCase('norm', 'centred false', 'one-hot'), 'x'],
  [findCase('output_projection', 'z one-hot'), 'z'],
  [findCase('rotary', 'one-hot'), 'x'],
  [findCase('soft_cap', 'one-hot'), 'x'],
  [findCase('unembed', 'one-hot'), 'x'],
];

test.each(SPOILED.map(([kernelCase, input]) => [kernelCase.kernel.name, input, kernelCase.title, kernelCase] as const))(
  '%s with NaN in %s: %s',
  async (_, input, _title, kernelCase) => {
    const { kernel, variant } = kernelCase;
    const inputs = createInputs(kernelCase);
    const bits = new Uint32Array(inputs[input].buffer);
    bits[Math.floor(bits.length / 3)] = 0x7fc00000;
    bits[bits.length - 1] = 0xffc00000;
    const want = truthOf(kernelCase).reference(toFloat64(inputs), variant.dims, variant.options);
    const got = await runKernel(kernel, variant, inputs, GARBAGE[1]);
    for (const { name, role } of presentBindings(kernel, variant)) {
      if (role !== 'output') continue;
      const expected = Array.from(want[name], Number.isNaN);
      expect(expected.filter(Boolean).length, name).toBeGreaterThan(0);
      expect(expected.filter(Boolean).length, name).toBeLessThan(expected.length);
      expect(Array.from(asFloats(got[name]), Number.isNaN), name).toEqual(expected);
    }
  },
);
