// jax-js on WebGPU, each task compiled with `jit`: arrays stay on the GPU, results come back through `data()`. Operations use their
// arguments up; `.ref` keeps one for the next time.
import type { Engine, PeerFiles, Prepared } from './peers.ts';
import type { OperationTask } from './peers_tasks.ts';

interface JaxArray {
  readonly ref: JaxArray;
  data(): Promise<Float32Array>;
  mul(other: JaxArray): JaxArray;
  add(other: JaxArray): JaxArray;
  dispose(): void;
}

interface Jax {
  init(device: 'webgpu'): Promise<readonly string[]>;
  defaultDevice(device: 'webgpu'): string;
  jit(f: (...args: JaxArray[]) => JaxArray): ((...args: JaxArray[]) => JaxArray) & { dispose(): void };
  readonly numpy: {
    array(data: Float32Array, options: { shape: readonly number[] }): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
  };
  readonly nn: {
    softmax(x: JaxArray, axis: number): JaxArray;
    standardize(x: JaxArray, axis: number, options: { epsilon: number }): JaxArray;
  };
}

export async function startJax({ modules }: PeerFiles): Promise<Engine> {
  const folder = `${modules}@jax-js/jax/`;
  const jax: Jax = await import(/* @vite-ignore */ `${folder}dist/index.js`);
  const { version } = await (await fetch(`${folder}package.json`)).json();
  if (!(await jax.init('webgpu')).includes('webgpu')) throw new Error('its WebGPU backend did not start');
  jax.defaultDevice('webgpu');
  const prepare = async (task: OperationTask): Promise<Prepared> => {
    const { inputs, compute } = operation(jax, task);
    const compiled = jax.jit(compute);
    return {
      run: () => compiled(...inputs.map(({ ref }) => ref)).data(),
      destroy() {
        for (const input of inputs) input.dispose();
        compiled.dispose();
      },
    };
  };
  return { name: 'jax-js WebGPU', version, prepare: { product: prepare, softmax: prepare, norm: prepare } };
}

type Compute = (...args: JaxArray[]) => JaxArray;

function operation({ numpy, nn }: Jax, task: OperationTask): { inputs: readonly JaxArray[]; compute: Compute } {
  const array = (data: Float32Array, ...shape: readonly number[]) => numpy.array(data, { shape });
  if (task.kind === 'product') {
    const { tokens, dIn, dOut, count } = task;
    const compute: Compute = (x, w) => {
      let out = numpy.matmul(x, w.ref);
      for (let i = 1; i < count; i++) out = numpy.matmul(out, w.ref);
      w.dispose();
      return out;
    };
    return { inputs: [array(task.x, tokens, dIn), array(task.w, dIn, dOut)], compute };
  }
  const { tokens, columns } = task;
  const x = array(task.x, tokens, columns);
  if (task.kind === 'softmax') return { inputs: [x], compute: (x) => nn.softmax(x, -1) };
  const compute: Compute = (x, w, b) => nn.standardize(x, -1, { epsilon: task.eps }).mul(w).add(b);
  return { inputs: [x, array(task.w, columns), array(task.b, columns)], compute };
}
