// The kernel that chooses tokens in float32 arithmetic: weights as the GPU rounds them, and whole numbers for their sums, which have no
// order. What the GPU searches for is found here by sorting.
import { philox } from '../../kernels/philox.ts';
import { type Arithmetic, fromBits, stored } from './arithmetic.ts';
import { type EmulatedKernel, floats, integers } from './emulated_kernel.ts';
import { exponential } from './functions.ts';

/** Words of the parameters of a row, and what there is instead of a position where nothing is chosen. */
const PARAMETERS = 12;
const NOBODY = 0xffffffff;
/** e⁻²⁸ is less than 2⁻⁴⁰, in which weights count. */
const FARTHEST = 28;
const LARGEST = 3.4028234663852886e38;

export const sample: EmulatedKernel = (inputs, { batch, pos, d_vocab_out }, { greedy }, arithmetic) => {
  const [logits, parameters] = [floats(inputs, 'logits'), integers(inputs, 'parameters')];
  const seen = inputs.seen && integers(inputs, 'seen');
  const weights = new Float32Array(batch * d_vocab_out);
  const token = new Uint32Array(batch);
  const choice = new Float32Array(4 * batch);
  for (let row = 0; row < batch; row++) {
    const given = parameters.subarray(row * PARAMETERS, (row + 1) * PARAMETERS);
    if (given[0] === NOBODY) continue;
    const first = (row * pos + given[0]) * d_vocab_out;
    const own = logits.subarray(first, first + d_vocab_out);
    const scores = own.map((logit, id) => {
      if (!seen || seen[row * d_vocab_out + id] === 0) return logit;
      return Math.min(arithmetic.round(logit * fromBits(logit > 0 ? given[11] : given[10])), LARGEST);
    });
    const ids = Array.from(own.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
    const largest = scores[ids[0]];
    const [inverse, farthest] = [fromBits(given[5]), fromBits(given[6])];
    const mine = scores.map((score) => stored(weight(arithmetic, score - largest, { inverse, farthest })));
    weights.set(mine, row * d_vocab_out);
    token[row] = greedy ? ids[0] : draw(ids, { scores, weights: mine, given, arithmetic });
    const highest = own.reduce((a, b) => Math.max(a, b));
    const total = Array.from(own, (logit) =>
      inUnits(weight(arithmetic, logit - highest, { inverse: 1, farthest: FARTHEST })),
    ).reduce((a, b) => a + b);
    // What is less than 2⁻²⁴ of it is left out.
    choice.set(
      [token[row], stored(own[token[row]]), stored(highest), Math.fround(Number(total >> 16n) / 2 ** 24)],
      4 * row,
    );
  }
  return { weights, token: new Float32Array(token.buffer), choice };
};

function weight(
  { round }: Arithmetic,
  difference: number,
  { inverse, farthest }: { inverse: number; farthest: number },
) {
  const distance = round(difference);
  return -distance > farthest ? 0 : exponential(round(distance * inverse));
}

const inUnits = (weight: number): bigint => BigInt(Math.floor(weight * 2 ** 40));

interface Row {
  readonly scores: Float32Array;
  readonly weights: Float32Array;
  readonly given: Uint32Array;
  readonly arithmetic: Arithmetic;
}

/** @param ids highest score first, equal ones by their id */
function draw(ids: readonly number[], { scores, weights, given, arithmetic }: Row): number {
  const [, seedLow, seedHigh, step, row, , , topK, topP, allowed] = given;
  const units = ids.map((id) => inUnits(weights[id]));
  const total = units.reduce((a, b) => a + b);
  let kept = ids.filter((id) => -arithmetic.round(scores[id] - scores[ids[0]]) <= fromBits(allowed)).length;
  if (topK > 0) kept = Math.min(kept, topK);
  if (topP > 0) {
    let [count, mass] = [0, 0n];
    while (mass << 32n < BigInt(topP) * total) mass += units[count++];
    kept = Math.min(kept, count);
  }
  const mass = units.slice(0, kept).reduce((a, b) => a + b);
  const [first, second] = philox([step, row, 0, 0], [seedLow, seedHigh]);
  const sought = (((BigInt(first) << 32n) | BigInt((second & 0xfffff800) >>> 0)) * mass) >> 64n;
  let at = 0;
  for (let before = units[0]; before <= sought; before += units[at]) at++;
  return ids[at];
}
