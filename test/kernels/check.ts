// One case of the table of kernels, on the test device and against the kernel's truth. For the tests, and for machines
// that have no test runner (bench/pack).

import { presentBindings } from '../../src/kernels/kernel.ts';
import { createInputs, type KernelCase } from './cases.ts';
import { compare } from './compare.ts';
import { asFloats, axesOf, GARBAGE, runKernel, toFloat64 } from './harness.ts';
import { truthOf } from './truths.ts';

/**
 * Runs a case on two kinds of garbage and gives its largest error as a share of its bound.
 * @throws Error where an element is outside of its bound, differs between the two, or was written though it belongs to another piece
 */
export async function checkCase(kernelCase: KernelCase): Promise<number> {
  const { kernel, variant, isWritten } = kernelCase;
  const { dims, options } = variant;
  const inputs = createInputs(kernelCase);
  const first = await runKernel(kernel, variant, inputs, GARBAGE[0]);
  const second = await runKernel(kernel, variant, inputs, GARBAGE[1]);
  const exact = toFloat64(inputs);
  const { reference, tolerance } = truthOf(kernelCase);
  const want = reference(exact, dims, options);
  const bound = tolerance(exact, dims, options);
  let share = 0;
  for (const binding of presentBindings(kernel, variant)) {
    const { name, role } = binding;
    if (role !== 'output') continue;
    const what = `${kernel.name} ${name}`;
    for (let i = 0; i < first[name].length; i++) {
      if (!isWritten(i, inputs, variant.dims, name)) {
        if (first[name][i] !== GARBAGE[0] || second[name][i] !== GARBAGE[1]) {
          throw new Error(`${what}: element ${i} belongs to another piece and was written.`);
        }
        second[name][i] = first[name][i] = 0;
        want[name][i] = bound[name][i] = 0;
      } else if (first[name][i] !== second[name][i]) {
        const values = `${asFloats(first[name])[i]} and ${asFloats(second[name])[i]}`;
        throw new Error(`${what}: element ${i} is ${values} in two dispatches on the same inputs.`);
      }
    }
    const axes = axesOf(binding, dims);
    const got = binding.element === 'u32' ? first[name] : asFloats(first[name]);
    share = Math.max(share, compare({ what, axes, got, want: want[name], bound: bound[name] }));
  }
  return share;
}
