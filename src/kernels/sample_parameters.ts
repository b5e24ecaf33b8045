// What the kernel `sample` is told about each row of a batch, written and read. Not a kernel.
import { penalized, type SamplingOptions } from './choose_token.ts';
import type { Arrays, Dims } from './kernel.ts';
import { keyOf, uniformOf } from './philox.ts';

/** What the kernel is told about each row: u32, or the bits of an f32. */
export const PARAMETERS = [
  'at', // position of the logits to choose from, or NOBODY
  'seed_low',
  'seed_high',
  'draw_step',
  'draw_row',
  'inverse_temperature', // f32
  'farthest', // f32: how far below the largest score weights are 0
  'top_k', // 0: all
  'top_p', // in units of 2⁻³²; 0: all
  'allowed', // f32: how far below the largest score tokens are kept
  'penalty', // f32
  'inverse_penalty', // f32
] as const;

type Parameter = (typeof PARAMETERS)[number];

export const SAMPLE_PARAMETERS = PARAMETERS.length;
/** Numbers in `choice`: token, logit, largest logit, total. */
export const CHOICE_FIELDS = 4;
/** Instead of a position: nothing is chosen for this row. */
export const NOBODY = 0xffffffff;

/** e⁻²⁸ is less than a unit, 2⁻⁴⁰. */
export const FARTHEST = 28;
/** What weights count in. */
export const UNIT = 2 ** -40;
const LARGEST = 3.4028234663852886e38;

/** Where in which row's text a token is drawn. */
export interface Draw {
  /** Position of the logits, or NOBODY. */
  readonly at: number;
  readonly step: number;
  readonly row: number;
}

/** The parameters of one row. Temperatures below 2⁻¹⁰⁰ count as that; those of 0 need the kernel's greedy variant. */
export function sampleParameters(options: SamplingOptions, { at, step, row }: Draw): Uint32Array<ArrayBuffer> {
  const { topK = 0, topP = 1, minP = 0, repetitionPenalty = 1, seed = 0 } = options;
  const temperature = Math.max(options.temperature ?? 0, 2 ** -100);
  const float = (value: number) => new Uint32Array(Float32Array.of(Math.min(value, LARGEST)).buffer)[0];
  const [seed_low, seed_high] = keyOf(seed);
  const values: Record<Parameter, number> = {
    ...{ at, seed_low, seed_high, draw_step: step, draw_row: row },
    inverse_temperature: float(1 / temperature),
    farthest: float(FARTHEST * temperature),
    top_k: Math.min(topK, NOBODY),
    top_p: topP < 1 ? Math.max(Math.floor(topP * 2 ** 32), 1) : 0,
    allowed: float(minP > 0 ? Math.log(1 / minP) * temperature : LARGEST),
    penalty: float(repetitionPenalty),
    inverse_penalty: float(1 / Math.fround(repetitionPenalty)),
  };
  return Uint32Array.from(PARAMETERS, (name) => values[name]);
}

/** What a row's parameters say, in the words of choose_token.ts, and its logits and scores. */
export function rowOf({ logits: all, parameters, seen }: Arrays, { pos, d_vocab_out }: Dims, row: number) {
  const words = parameters.subarray(row * SAMPLE_PARAMETERS, (row + 1) * SAMPLE_PARAMETERS);
  const word = (name: Parameter) => words[PARAMETERS.indexOf(name)];
  const float = (name: Parameter) => new Float32Array(Uint32Array.of(word(name)).buffer)[0];
  const first = (row * pos + word('at')) * d_vocab_out;
  const logits = all.subarray(first, first + d_vocab_out);
  const text = Array.from(logits.keys()).filter((id) => seen && seen[row * d_vocab_out + id] !== 0);
  const temperature = 1 / float('inverse_temperature');
  const options = {
    temperature,
    topK: word('top_k') || d_vocab_out,
    topP: word('top_p') / 2 ** 32 || 1,
    minP: Math.exp(-float('allowed') / temperature),
    repetitionPenalty: float('penalty'),
  };
  const uniform = uniformOf([word('seed_low'), word('seed_high')], { step: word('draw_step'), row: word('draw_row') });
  return { logits, text, options, uniform, scores: penalized(logits, text, options.repetitionPenalty) };
}
