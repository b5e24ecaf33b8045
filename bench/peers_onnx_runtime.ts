// onnxruntime-web, with its WebGPU backend or with WASM on the CPU, on ONNX files that onnx_writer.ts makes of the model. What its users
// can do for speed is done: keys, values and inputs of single operations stay on the GPU, WASM has a thread for each core.
import { type OnnxGraph, onnxGraph, onnxProduct } from './onnx_graph.ts';
import { type Protobuf, writeOnnx } from './onnx_writer.ts';
import type { Engine, PeerFiles, PeerModel, Prepared } from './peers.ts';
import type { DecodeTask, ProductTask, RunTask } from './peers_tasks.ts';
import { loadScript } from './peers_tensorflow.ts';

interface OrtTensor {
  readonly dims: readonly number[];
  getData(): Promise<Float32Array>;
  dispose(): void;
}

type Tensors = Readonly<Record<string, OrtTensor>>;

interface OrtSession {
  run(feeds: Tensors): Promise<Tensors>;
  release(): Promise<void>;
}

interface SessionOptions {
  readonly executionProviders: readonly string[];
  readonly preferredOutputLocation?: Readonly<Record<string, 'gpu-buffer'>>;
}

interface OrtModule {
  readonly env: {
    readonly versions: { readonly web?: string; readonly common: string };
    logLevel: string;
    readonly wasm: { wasmPaths?: string; numThreads?: number };
    readonly webgpu: { readonly device: Promise<GPUDevice> };
  };
  readonly Tensor: {
    new (type: 'int64', data: BigInt64Array, dims: readonly number[]): OrtTensor;
    new (type: 'float32', data: Float32Array, dims: readonly number[]): OrtTensor;
    fromGpuBuffer(buffer: GPUBuffer, options: { dataType: 'float32'; dims: readonly number[] }): OrtTensor;
  };
  readonly InferenceSession: { create(file: string | Uint8Array, options: SessionOptions): Promise<OrtSession> };
}

type Provider = 'webgpu' | 'wasm';

/**
 * onnxruntime-web with one of its backends. Its WASM backend gets its own build (the WebGPU one's is made to be suspended
 * while the GPU works) and as many threads as there are cores.
 */
export async function startOnnxRuntime(
  provider: Provider,
  { modules, onnx }: PeerFiles,
  model: PeerModel,
): Promise<Engine> {
  const threads = provider === 'wasm' ? navigator.hardwareConcurrency : 1;
  const dist = `${modules}onnxruntime-web/dist/`;
  const ort: OrtModule = await import(/* @vite-ignore */ `${dist}ort.${provider}.bundle.min.mjs`);
  ort.env.logLevel = 'error';
  ort.env.wasm.wasmPaths = dist;
  ort.env.wasm.numThreads = threads;
  const runtime = new OnnxRuntime(ort, provider, await loadProtobuf(modules));
  const whole = await runtime.open(onnxGraph(model.config, model.weights));
  return {
    name: `onnxruntime-web ${provider === 'webgpu' ? 'WebGPU' : `WASM, ${threads} threads`}`,
    version: ort.env.versions.web ?? ort.env.versions.common,
    prepare: {
      run: (task) => runtime.prepareRun(whole, task),
      decode: (task) => runtime.prepareDecode(model, task),
      product: (task) => runtime.prepareProduct(task),
    },
    exported: onnx ? async (task) => runtime.prepareRun(await runtime.open(onnx), task) : null,
  };
}

let protobuf: Promise<Protobuf> | undefined;

/** The library for ONNX's file format, once. */
export async function loadProtobuf(modules: string): Promise<Protobuf> {
  protobuf ??= loadScript(`${modules}protobufjs/dist/light/protobuf.min.js`).then(
    () => (globalThis as unknown as { protobuf: Protobuf }).protobuf,
  );
  return protobuf;
}

class OnnxRuntime {
  private readonly ort: OrtModule;
  private readonly provider: Provider;
  private readonly protobuf: Protobuf;

  constructor(ort: OrtModule, provider: Provider, protobuf: Protobuf) {
    this.ort = ort;
    this.provider = provider;
    this.protobuf = protobuf;
  }

  /** A graph, or the URL of a file. Outputs that are named stay on the GPU, where there is one. */
  open(model: OnnxGraph | string, onGpu: readonly string[] = []): Promise<OrtSession> {
    const { provider } = this;
    const locations = Object.fromEntries(onGpu.map((name) => [name, 'gpu-buffer'] as const));
    return this.ort.InferenceSession.create(typeof model === 'string' ? model : writeOnnx(model, this.protobuf), {
      executionProviders: [provider],
      ...(provider === 'webgpu' && onGpu.length > 0 && { preferredOutputLocation: locations }),
    });
  }

  private ids(tokens: readonly number[]): OrtTensor {
    return new this.ort.Tensor('int64', BigInt64Array.from(tokens, BigInt), [1, tokens.length]);
  }

  async prepareRun(session: OrtSession, { ids }: RunTask): Promise<Prepared> {
    const run = async () => (await session.run({ input_ids: this.ids(ids) })).logits.getData();
    return { run, destroy() {} };
  }

  /**
   * The keys and values of the context but for its last token come from our run; the step of that token puts all of them where this
   * backend keeps them. Each step makes new tensors of the past, one longer, as its users' loops do.
   */
  async prepareDecode({ config, weights }: PeerModel, { context, ids, past }: DecodeTask): Promise<Prepared> {
    const { nKeyValueHeads, dHead } = config;
    const names = past.flatMap((_, layer) => [`${layer}.k`, `${layer}.v`]);
    const session = await this.open(
      onnxGraph(config, weights, { withPast: true }),
      names.map((name) => `present.${name}`),
    );
    const step = async (token: number, position: number, past: Tensors) => {
      const { logits, ...present } = await session.run({
        input_ids: this.ids([token]),
        position_ids: this.ids([position]),
        ...past,
      });
      const renamed = Object.entries(present).map(([name, tensor]) => [name.replace('present', 'past'), tensor]);
      return { logits: await logits.getData(), past: Object.fromEntries(renamed) as Tensors };
    };
    const dims = [1, nKeyValueHeads, context.length - 1, dHead];
    const first = past.flatMap(({ k, v }, layer) => [
      [`past.${layer}.k`, new this.ort.Tensor('float32', k, dims)] as const,
      [`past.${layer}.v`, new this.ort.Tensor('float32', v, dims)] as const,
    ]);
    const kept = await step(context.at(-1)!, context.length - 1, Object.fromEntries(first));
    const run = async () => {
      let last = kept;
      for (const [i, token] of ids.entries()) {
        const before = last;
        last = await step(token, context.length + i, before.past);
        if (before !== kept) dispose(before.past);
      }
      dispose(last.past);
      return last.logits;
    };
    return {
      run,
      destroy() {
        dispose(kept.past);
        session.release();
      },
    };
  }

  async prepareProduct({ tokens, dIn, dOut, count, x, w }: ProductTask): Promise<Prepared> {
    const session = await this.open(onnxProduct({ rows: tokens, dIn, dOut, repeat: count }, w));
    const { tensor, destroy } = await this.resident(x, [tokens, dIn]);
    return {
      run: async () => (await session.run({ x: tensor })).out.getData(),
      destroy() {
        destroy();
        session.release();
      },
    };
  }

  /** A tensor that lies where the backend computes, so that no run uploads it. */
  private async resident(data: Float32Array<ArrayBuffer>, dims: readonly number[]) {
    const { Tensor, env } = this.ort;
    if (this.provider === 'wasm') return { tensor: new Tensor('float32', data, dims), destroy() {} };
    const device = await env.webgpu.device;
    const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
    const buffer = device.createBuffer({ size: data.byteLength, usage: STORAGE | COPY_DST | COPY_SRC });
    device.queue.writeBuffer(buffer, 0, data);
    return { tensor: Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims }), destroy: () => buffer.destroy() };
  }
}

function dispose(tensors: Tensors): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}
