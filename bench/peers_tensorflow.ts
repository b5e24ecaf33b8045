// TensorFlow.js with its WebGPU backend: tensors stay on the GPU, results come back through `data()`.
import type { Engine, PeerFiles, Prepared } from './peers.ts';
import type { OperationTask } from './peers_tasks.ts';

interface Tensor {
  data(): Promise<Float32Array>;
  dispose(): void;
}

interface TensorFlow {
  readonly version_core: string;
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  getBackend(): string;
  tensor(data: Float32Array, shape: readonly number[]): Tensor;
  tidy(f: () => Tensor): Tensor;
  matMul(a: Tensor, b: Tensor): Tensor;
  softmax(x: Tensor, axis: number): Tensor;
  mean(x: Tensor, axis: number, keepDims: boolean): Tensor;
  sub(a: Tensor, b: Tensor): Tensor;
  mul(a: Tensor, b: Tensor): Tensor;
  add(a: Tensor, b: Tensor | number): Tensor;
  square(x: Tensor): Tensor;
  rsqrt(x: Tensor): Tensor;
}

/** Its builds for script tags share one global. */
export async function startTensorFlow({ modules }: PeerFiles): Promise<Engine> {
  await loadScript(`${modules}@tensorflow/tfjs-core/dist/tf-core.min.js`);
  await loadScript(`${modules}@tensorflow/tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js`);
  const { tf } = globalThis as unknown as { tf: TensorFlow };
  if (!(await tf.setBackend('webgpu'))) throw new Error('its WebGPU backend did not start');
  await tf.ready();
  const prepare = async (task: OperationTask): Promise<Prepared> => {
    const { inputs, compute } = operation(tf, task);
    return {
      async run() {
        const out = tf.tidy(compute);
        const result = await out.data();
        out.dispose();
        return result;
      },
      destroy() {
        for (const input of inputs) input.dispose();
      },
    };
  };
  const name = 'tfjs WebGPU';
  return { name, version: tf.version_core, prepare: { product: prepare, softmax: prepare, norm: prepare } };
}

function operation(tf: TensorFlow, task: OperationTask): { inputs: readonly Tensor[]; compute: () => Tensor } {
  if (task.kind === 'product') {
    const { tokens, dIn, dOut, count } = task;
    const [x, w] = [tf.tensor(task.x, [tokens, dIn]), tf.tensor(task.w, [dIn, dOut])];
    const compute = () => {
      let out = tf.matMul(x, w);
      for (let i = 1; i < count; i++) out = tf.matMul(out, w);
      return out;
    };
    return { inputs: [x, w], compute };
  }
  const { tokens, columns } = task;
  const x = tf.tensor(task.x, [tokens, columns]);
  if (task.kind === 'softmax') return { inputs: [x], compute: () => tf.softmax(x, -1) };
  const [w, b] = [tf.tensor(task.w, [columns]), tf.tensor(task.b, [columns])];
  // It has no layer norm of its own outside of its layers API, which puts it together as here.
  const compute = () => {
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const variance = tf.mean(tf.square(centred), -1, true);
    return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, task.eps))), w), b);
  };
  return { inputs: [x, w, b], compute };
}

/** Runs a script that leaves a global behind. */
export function loadScript(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = url;
    script.onload = () => resolve();
    script.onerror = () => reject(new Error(`there is no ${url}`));
    document.head.append(script);
  });
}
