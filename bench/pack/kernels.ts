// Every kernel on every case of the test table, on this machine's adapter: against its float64 reference, within its bound. Writes
// kernels.json into the folder that is given; exit code 1 where a case fails. `--quick`: every tenth case.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeAdapter } from '../../src/index.ts';
import { testDevice } from '../../test/device.ts';
import { CASES } from '../../test/kernels/cases.ts';
import { checkCase } from '../../test/kernels/check.ts';

const [folder, ...flags] = process.argv.slice(2);
const every = flags.includes('--quick') ? 10 : 1;
const device = await testDevice();
interface KernelResult {
  readonly name: string;
  readonly cases: number;
  readonly failed: number;
  readonly largestShareOfBound: number;
  readonly failures: readonly { readonly title: string; readonly message: string }[];
}

const kernels: KernelResult[] = [];
for (const [name, cases] of Object.entries(CASES)) {
  const chosen = cases.filter((_, i) => i % every === 0);
  const failures: { title: string; message: string }[] = [];
  let largest = 0;
  for (const kernelCase of chosen) {
    try {
      largest = Math.max(largest, await checkCase(kernelCase));
    } catch (error) {
      failures.push({ title: kernelCase.title, message: (error as Error).message });
    }
  }
  kernels.push({ name, cases: chosen.length, failed: failures.length, largestShareOfBound: largest, failures });
  for (const { title, message } of failures) console.log(`FAILED ${name}: ${title}: ${message}`);
}
const sum = (of: (kernel: KernelResult) => number) => kernels.reduce((total, kernel) => total + of(kernel), 0);
const [cases, failed] = [sum((kernel) => kernel.cases), sum((kernel) => kernel.failed)];
console.log(`kernels: ${cases} cases of ${kernels.length} kernels, ${failed} failed`);
const report = { adapter: describeAdapter(device), cases, failed, kernels };
writeFileSync(join(folder, 'kernels.json'), `${JSON.stringify(report, null, 1)}\n`);
device.destroy();
process.exitCode = failed === 0 && cases > 0 ? 0 : 1;
