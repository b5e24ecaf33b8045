// transformers.js on WebGPU: onnxruntime-web's other WebGPU backend behind the library that most pages use. It asks for files of a hub;
// all that it asks for here comes from memory, so that nothing is fetched from elsewhere.
import { onnxGraph } from './onnx_graph.ts';
import { writeOnnx } from './onnx_writer.ts';
import type { Engine, PeerFiles, PeerModel, Prepared } from './peers.ts';
import { loadProtobuf } from './peers_onnx_runtime.ts';
import type { RunTask } from './peers_tasks.ts';

interface Cache {
  match(key: string): Promise<Response | undefined>;
  put(key: string, response: Response): Promise<void>;
}

type RunModel = (inputs: { input_ids: unknown }) => Promise<{ logits: { data: Float32Array } }>;

interface Transformers {
  readonly env: {
    readonly version: string;
    allowRemoteModels: boolean;
    allowLocalModels: boolean;
    useBrowserCache: boolean;
    useCustomCache: boolean;
    customCache: Cache;
    readonly backends: {
      readonly onnx: { logLevel: string; readonly wasm: { wasmPaths: string; numThreads: number } };
    };
  };
  readonly Tensor: new (type: 'int64', data: BigInt64Array, dims: readonly number[]) => unknown;
  readonly AutoModel: {
    from_pretrained(name: string, options: { device: 'webgpu'; dtype: 'fp32' }): Promise<RunModel>;
  };
}

const NAME = 'model';

export async function startTransformers({ modules, config }: PeerFiles, model: PeerModel): Promise<Engine> {
  const folder = `${modules}@huggingface/transformers/`;
  const { env, AutoModel, Tensor }: Transformers = await import(/* @vite-ignore */ `${folder}dist/transformers.min.js`);
  const onnx = writeOnnx(onnxGraph(model.config, model.weights), await loadProtobuf(modules));
  const configText = await (await fetch(config)).text();
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.useBrowserCache = false;
  env.useCustomCache = true;
  env.customCache = {
    async match(key) {
      if (key.endsWith('/config.json')) return new Response(configText);
      return key.endsWith('/onnx/model.onnx') ? new Response(onnx) : undefined;
    },
    async put() {},
  };
  env.backends.onnx.logLevel = 'error';
  env.backends.onnx.wasm.wasmPaths = `${folder}node_modules/onnxruntime-web/dist/`; // of the version that it was built with
  env.backends.onnx.wasm.numThreads = 1;
  const run = await AutoModel.from_pretrained(NAME, { device: 'webgpu', dtype: 'fp32' });
  const prepare = async ({ ids }: RunTask): Promise<Prepared> => ({
    async run() {
      const input = new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
      return (await run({ input_ids: input })).logits.data;
    },
    destroy() {},
  });
  return { name: 'transformers.js WebGPU', version: env.version, prepare: { run: prepare } };
}
