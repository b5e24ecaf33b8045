// Chooses the next token of every row on the GPU, behind a run and in its commands: the next run takes the tokens from there. What the
// CPU is told of a choice is copied to a buffer that it reads later.
import type { PreparedKernel } from '../engine/dispatch.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { Choice, SamplingOptions } from '../kernels/choose_token.ts';
import { markToken } from '../kernels/mark_token.ts';
import type { Numerics } from '../kernels/prelude.ts';
import { sample } from '../kernels/sample.ts';
import { CHOICE_FIELDS, type Draw, SAMPLE_PARAMETERS, sampleParameters } from '../kernels/sample_parameters.ts';

export interface SamplerOptions {
  readonly runtime: Runtime;
  readonly dVocabOut: number;
  /** Those of the runs. */
  readonly numerics: Numerics;
  readonly sampling: SamplingOptions;
  /** Ids of each row of the batch, for the repetition penalty. */
  readonly texts: readonly (readonly number[])[];
}

/** Logits on the GPU, [batch, pos, d_vocab_out]. */
export interface LogitsOnGpu {
  readonly buffer: GPUBuffer;
  readonly pos: number;
}

type Buffers = Readonly<Record<'parameters' | 'token' | 'choice', GPUBuffer>> & {
  weights?: GPUBuffer;
  seen?: GPUBuffer;
};

export class Sampler {
  private readonly options: SamplerOptions;
  private readonly sample: PreparedKernel;
  /** Only with a repetition penalty. */
  private readonly markToken: PreparedKernel | null;
  private readonly buffers: Buffers;

  private constructor(options: SamplerOptions, kernels: { sample: PreparedKernel; markToken: PreparedKernel | null }) {
    this.options = options;
    this.sample = kernels.sample;
    this.markToken = kernels.markToken;
    this.buffers = createBuffers(options);
  }

  /** Compiles the kernels and creates the buffers: 4 bytes for each token of the vocabulary and row to draw, and as many for a penalty. */
  static async create(options: SamplerOptions): Promise<Sampler> {
    const { runtime, dVocabOut, numerics, sampling, texts } = options;
    const dims = {
      ...{ batch: texts.length, pos: 1, d_vocab_out: dVocabOut },
      ...{ parameter_fields: SAMPLE_PARAMETERS, choice_fields: CHOICE_FIELDS },
    };
    const present = { weights: draws(sampling), seen: penalizes(sampling) };
    const has = (binding: string) => present[binding as keyof typeof present] ?? true;
    const variant = { numerics, dims, options: { greedy: !draws(sampling) }, has };
    const choosing = await runtime.prepareKernel(sample, variant);
    const marking = penalizes(sampling) ? await runtime.prepareKernel(markToken, variant) : null;
    return new Sampler(options, { sample: choosing, markToken: marking });
  }

  /** The tokens chosen last, u32 [batch]. */
  get tokens(): GPUBuffer {
    return this.buffers.token;
  }

  /** Bytes of what is copied for each choice. */
  get choiceBytes(): number {
    return 4 * CHOICE_FIELDS * this.options.texts.length;
  }

  /**
   * Adds the choice to the commands of a run, and copies it to `choices`.
   * @param drawn one for each row
   */
  encode(encoder: GPUCommandEncoder, logits: LogitsOnGpu, drawn: readonly Draw[], choices: GPUBuffer): void {
    const { buffers } = this;
    const parameters = new Uint32Array(drawn.length * SAMPLE_PARAMETERS);
    drawn.forEach((draw, row) => {
      parameters.set(sampleParameters(this.options.sampling, draw), row * SAMPLE_PARAMETERS);
    });
    this.options.runtime.memory.device.queue.writeBuffer(buffers.parameters, 0, parameters);
    this.sample.encode(encoder, { ...buffers, logits: logits.buffer }, { pos: logits.pos });
    this.markToken?.encode(encoder, { ...buffers });
    encoder.copyBufferToBuffer(buffers.choice, 0, choices, 0, this.choiceBytes);
  }

  destroy(): void {
    this.sample.destroy();
    this.markToken?.destroy();
    for (const buffer of Object.values(this.buffers)) this.options.runtime.memory.destroy(buffer);
  }
}

const draws = ({ temperature = 0 }: SamplingOptions) => temperature > 0;
const penalizes = ({ repetitionPenalty = 1 }: SamplingOptions) => repetitionPenalty !== 1;

function createBuffers({ runtime, dVocabOut, sampling, texts }: SamplerOptions): Buffers {
  const { memory } = runtime;
  const batch = texts.length;
  const buffers: Buffers = {
    parameters: memory.createStorage('sample parameters', 4 * batch * SAMPLE_PARAMETERS),
    token: memory.createStorage('token', 4 * batch),
    choice: memory.createStorage('choice', 4 * batch * CHOICE_FIELDS),
    ...(draws(sampling) && { weights: memory.createStorage('weights to draw by', 4 * batch * dVocabOut) }),
    ...(penalizes(sampling) && { seen: memory.createStorage('tokens seen', 4 * batch * dVocabOut) }),
  };
  if (buffers.seen) {
    const seen = new Uint32Array(batch * dVocabOut);
    texts.forEach((ids, row) => {
      // A prompt may have tokens that are never predicted.
      for (const id of ids) if (id < dVocabOut) seen[row * dVocabOut + id] = 1;
    });
    memory.device.queue.writeBuffer(buffers.seen, 0, seen);
  }
  return buffers;
}

/**
 * What `choices` say of one row.
 * @returns null where the logits had a NaN, or no largest finite one: then nothing was chosen
 */
export function readChoice(choices: Float32Array, row: number): Choice | null {
  const [token, logit, largest, total] = choices.subarray(row * CHOICE_FIELDS, (row + 1) * CHOICE_FIELDS);
  return Number.isFinite(largest) ? { token, logProb: logit - largest - Math.log(total) } : null;
}
