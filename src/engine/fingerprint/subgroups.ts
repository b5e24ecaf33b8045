// In which order subgroupAdd adds, where the device has subgroups. A shader of its own: it needs the feature to
// compile. The terms are those of the lane, so every subgroup adds the same ones, however invocations are shared out
// among subgroups.
import { allDiffer, isSame, Random } from './cases.ts';
import { ORDERS } from './float32.ts';

export type SubgroupOrder = keyof typeof ORDERS;

/** What WebGPU allows. */
const SIZES = [4, 8, 16, 32, 64, 128] as const;
const LANES = 128; // the largest subgroup, and the workgroup
const SETS = 8;
const FIELDS = 1 + SETS; // the size, then the sums

export const SUBGROUP_RESULT_BYTES = 4 * FIELDS * LANES;

export const SUBGROUP_SHADER = `// fingerprint of subgroups
enable subgroups;

@group(0) @binding(1) var<storage, read> terms: array<f32>; // [size, set, lane]
@group(0) @binding(2) var<storage, read_write> results: array<f32>; // [invocation, size and sums]

@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) invocation: u32, @builtin(subgroup_size) size: u32,
        @builtin(subgroup_invocation_id) lane: u32) {
  results[${FIELDS}u * invocation] = f32(size);
  let first_set = ${SETS}u * (countTrailingZeros(size) - ${Math.log2(SIZES[0])}u);
  for (var i = 0u; i < ${SETS}u; i++) {
    results[${FIELDS}u * invocation + 1u + i] = subgroupAdd(terms[${LANES}u * (first_set + i) + lane]);
  }
}
`;

const names = Object.keys(ORDERS) as SubgroupOrder[];

/** For each size sets of as many terms, whose sum is another one in every order. */
function subgroupTerms(size: number): number[][] {
  const random = new Random();
  const sets: number[][] = [];
  while (sets.length < SETS) {
    const terms = Array.from({ length: size }, () => random.float(-6, 0));
    if (allDiffer(names.map((name) => [ORDERS[name](terms)]))) sets.push(terms);
  }
  return sets;
}

/** [size, set, lane]; smaller sizes leave lanes unused. */
export function subgroupInput(): Float32Array<ArrayBuffer> {
  const input = new Float32Array(SIZES.length * SETS * LANES);
  SIZES.flatMap(subgroupTerms).forEach((terms, set) => {
    input.set(terms, LANES * set);
  });
  return input;
}

/** What the results of the shader say; the size is null where invocations do not agree on one. */
export function subgroupAnswer(results: Float32Array): { size: number | null; order: SubgroupOrder | 'other' } {
  const rows = Array.from({ length: LANES }, (_, i) => results.subarray(i * FIELDS, (i + 1) * FIELDS));
  const [size] = results;
  if (!SIZES.some((allowed) => allowed === size) || !rows.every((row) => row[0] === size)) {
    return { size: null, order: 'other' };
  }
  const sets = subgroupTerms(size);
  const fits = (name: SubgroupOrder) =>
    rows.every((row) => sets.every((terms, set) => isSame(row[1 + set], ORDERS[name](terms))));
  return { size, order: names.find(fits) ?? 'other' };
}
