// Says which adapter this machine gives, on one line. Exit code 0: hardware; 3: software; 1: none, and the reason.
import { describeAdapter, requestDevice } from '../../src/index.ts';

try {
  const device = await requestDevice({ label: 'probe' });
  const { text, isFallback } = describeAdapter(device);
  console.log(text);
  device.destroy();
  process.exitCode = isFallback ? 3 : 0;
} catch (error) {
  console.log((error as Error).message);
  process.exitCode = 1;
}
