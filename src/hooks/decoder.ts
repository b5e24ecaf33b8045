// The runs of a generation, some steps ahead of what has been read: each takes its tokens on the GPU from the one before. What comes
// back comes in order. What a choice means for a text, and when it ends, is said in generate.ts.

import { LOGITS } from '../engine/graph.ts';
import type { KeyValueCache } from '../engine/key_value_cache.ts';
import type { Choice } from '../kernels/choose_token.ts';
import { NOBODY } from '../kernels/sample_parameters.ts';
import type { ActivationCache } from './activation_cache.ts';
import type { GenerateOptions } from './generate.ts';
import type { Model } from './model.ts';
import { readChoice, Sampler } from './sampler.ts';
import type { Tensor } from './tensor.ts';
import { padRows } from './tokens.ts';

/** A row of the batch, as far as runs need to know it. */
export interface DecodedRow {
  /** Ids of the prompt. */
  readonly prompt: readonly number[];
  /** Whether tokens behind those that have been read are wanted. */
  readonly isActive: boolean;
}

/** What one step gave. */
export interface DecodedStep {
  /** By row; null for rows that did not take part. */
  readonly choices: readonly (Choice | null)[];
  /** Positions that each row had before this step's (last) run. */
  readonly firstPos: readonly number[];
  readonly logits?: Tensor;
  readonly cache?: ActivationCache;
}

export interface DecoderOptions extends GenerateOptions {
  readonly maxNewTokens: number;
  readonly prefillChunk: number;
  readonly inFlight: number;
}

/** One run of a step: ids of each row (none: it does not take part), and of which position a token is chosen. */
interface Piece {
  readonly ids: readonly (readonly number[])[];
  readonly at: readonly number[];
}

export class Decoder {
  private readonly model: Model;
  private readonly rows: readonly DecodedRow[];
  private readonly options: DecoderOptions;
  private readonly keyValueCache: KeyValueCache;
  private readonly sampler: Sampler;
  /** What steps in flight are read from, one for each; and those at rest. */
  private readonly mappable: readonly GPUBuffer[];
  private readonly atRest: GPUBuffer[];
  /** Steps that have been submitted and not been asked for. */
  private readonly pending: { readonly step: Promise<DecodedStep>; readonly cache: ActivationCache | null }[] = [];
  private submitted = 0;

  private constructor(model: Model, rows: readonly DecodedRow[], options: DecoderOptions, sampler: Sampler) {
    const { MAP_READ, COPY_DST } = GPUBufferUsage;
    const { memory } = model.runtime;
    this.model = model;
    this.rows = rows;
    this.options = options;
    this.sampler = sampler;
    const longest = Math.max(...rows.map(({ prompt }) => prompt.length));
    const capacity = Math.min(model.config.nCtx, longest + options.maxNewTokens);
    this.keyValueCache = model.createKeyValueCache({ batch: rows.length, capacity });
    this.mappable = Array.from({ length: options.inFlight }, () =>
      memory.create('choices', sampler.choiceBytes, MAP_READ | COPY_DST),
    );
    this.atRest = [...this.mappable];
  }

  /** Compiles what chooses tokens, and creates a key-value cache. */
  static async create(model: Model, rows: readonly DecodedRow[], options: DecoderOptions): Promise<Decoder> {
    const sampler = await Sampler.create({
      runtime: model.runtime,
      dVocabOut: model.config.dVocabOut,
      numerics: options.numerics ?? model.numerics,
      sampling: options,
      texts: rows.map(({ prompt }) => prompt),
    });
    try {
      return new Decoder(model, rows, options, sampler);
    } catch (error) {
      sampler.destroy();
      throw error;
    }
  }

  /** Submits steps until as many are under way as may be, and gives the first of them. Waits for the GPU. */
  async next(): Promise<DecodedStep> {
    while (this.pending.length < this.options.inFlight && this.canGoOn()) await this.submit();
    const first = this.pending.shift();
    if (!first) throw new Error('generate: there is no row to go on with.');
    try {
      return await first.step;
    } catch (error) {
      first.cache?.destroy();
      throw error;
    }
  }

  /** Rows that are active and have room for one more position. */
  private takesPart({ isActive, prompt }: DecodedRow): boolean {
    return isActive && prompt.length + this.submitted <= this.model.config.nCtx;
  }

  private canGoOn(): boolean {
    return this.submitted < this.options.maxNewTokens && this.rows.some((row) => this.takesPart(row));
  }

  /** Submits the runs of the next step: one, or for the prompt one for each piece of it. */
  private async submit(): Promise<void> {
    const { model, options, keyValueCache } = this;
    const step = this.submitted;
    const pieces = step === 0 ? promptPieces(this.rows, options.prefillChunk) : [this.nextPiece()];
    const mappable = this.atRest.pop();
    if (!mappable) throw new Error('generate: more steps are under way than may be.');
    let firstPos: readonly number[] = [];
    let cache: ActivationCache | undefined;
    try {
      for (const piece of pieces) {
        options.signal?.throwIfAborted();
        cache?.destroy();
        firstPos = keyValueCache.lengths;
        cache = await this.run(piece, step, mappable);
      }
      const logits = options.returnLogits && cache ? await model.readResult(cache, LOGITS) : undefined;
      const kept = options.capture === undefined ? null : cache;
      if (!kept) cache?.destroy();
      this.submitted++;
      const took = pieces.map(({ at }) => at).reduce((a, b) => a.map((pos, row) => Math.min(pos, b[row])));
      const given = { firstPos, ...(logits && { logits }), ...(kept && { cache: kept }) };
      const decoded = this.read(mappable, took, step).then((choices) => ({ ...given, choices }));
      // The error is for the one who asks for the step; nobody may.
      decoded.catch(() => {});
      this.pending.push({ step: decoded, cache: kept ?? null });
    } catch (error) {
      cache?.destroy();
      this.atRest.push(mappable);
      throw error;
    }
  }

  /** One token of every row that takes part: those that the step before chooses. */
  private nextPiece(): Piece {
    const ids = this.rows.map((row) => (this.takesPart(row) ? [0] : []));
    return { ids, at: ids.map(({ length }) => (length > 0 ? 0 : NOBODY)) };
  }

  private async run({ ids, at }: Piece, step: number, choices: GPUBuffer): Promise<ActivationCache> {
    const { model, options, sampler, keyValueCache } = this;
    const batch = padRows(
      ids.map((row) => (row.length > 0 ? row : [0])),
      model.config,
    );
    const tokens = { ...batch, lengths: ids.map(({ length }) => length) };
    // Of a prompt's piece in which no row ends only keys and values are wanted.
    const isDrawn = at.some((pos) => pos !== NOBODY);
    const wanted = options.returnLogits ? 'all' : isDrawn ? 'last' : 'none';
    const { cache } = await model.submit(
      [],
      tokens,
      { ...options, keyValueCache, logits: wanted },
      {
        ...(step > 0 && { ids: sampler.tokens }),
        afterwards: (encoder, frame) => {
          if (!isDrawn) return;
          const pos = frame.shape.outputs;
          const draws = at.map((last, row) => ({ at: pos === 1 && last !== NOBODY ? 0 : last, step, row }));
          sampler.encode(encoder, { buffer: frame.buffer(LOGITS), pos }, draws, choices);
        },
      },
    );
    return cache;
  }

  /** The choices of a step, once the GPU has made them. */
  private async read(mappable: GPUBuffer, at: readonly number[], step: number): Promise<(Choice | null)[]> {
    try {
      const bytes = await this.model.runtime.memory.readMappable(mappable, this.sampler.choiceBytes);
      const choices = new Float32Array(bytes);
      return at.map((pos, row) => {
        if (pos === NOBODY) return null;
        const choice = readChoice(choices, row);
        if (choice || !this.rows[row].isActive) return choice;
        throw new Error(
          `generate: the logits of row ${row} behind ${this.rows[row].prompt.length + step} positions are NaN or infinite, so there is ` +
            'no next token. Look for where that begins: capture values and read their stats().',
        );
      });
    } finally {
      this.atRest.push(mappable);
    }
  }

  /** Gives everything back. What the GPU has begun it ends, for nobody. */
  destroy(): void {
    for (const { cache } of this.pending.splice(0)) cache?.destroy();
    for (const buffer of this.mappable) this.model.runtime.memory.destroy(buffer);
    this.sampler.destroy();
    this.keyValueCache.destroy();
  }
}

/** Prompts cut into consecutive pieces of at most `size` tokens; a shorter row has empty pieces at its end. */
function promptPieces(rows: readonly DecodedRow[], size: number): Piece[] {
  const longest = Math.max(...rows.map(({ prompt }) => prompt.length));
  const pieces: Piece[] = [];
  for (let from = 0; from < longest; from += size) {
    pieces.push({
      ids: rows.map(({ prompt }) => prompt.slice(from, from + size)),
      at: rows.map(({ prompt }) => {
        const last = prompt.length - 1 - from;
        return last >= 0 && last < size ? last : NOBODY;
      }),
    });
  }
  return pieces;
}
