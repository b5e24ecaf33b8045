// What compilers do with constants in expressions: they know them, and may put them elsewhere. WGSL lets
// implementations reassociate.
import { type Draw, type Inputs, type Probe, probe } from './cases.ts';

export type Grouping = 'in order' | 'with the first' | 'with the second';

const { fround } = Math;

/** Literals whose sum, product and reciprocals are all rounded. */
const [K, L] = [fround(0.7), fround(0.1)];

const drawTwo: Draw = (random) => [random.float(-4, 2), random.float(-4, 2)];
const drawOne: Draw = (random) => [random.float(-4, 2)];

const add = (x: number, y: number) => fround(x + y);
const multiply = (x: number, y: number) => fround(x * y);

/** k ∘ (a ∘ b), and what it becomes where the constant is taken to one of the others. */
function grouping(operation: (x: number, y: number) => number) {
  return {
    draw: drawTwo,
    outcomes: {
      'in order': ([a, b]: Inputs) => [operation(K, operation(a, b))],
      'with the first': ([a, b]: Inputs) => [operation(operation(K, a), b)],
      'with the second': ([a, b]: Inputs) => [operation(operation(K, b), a)],
    },
  };
}

export const SUMS_WITH_CONSTANT: readonly Probe<Grouping>[] = [
  probe('0.7 + (a + b)', 'return 0.7 + (a + b);', grouping(add)),
  probe('(a + b) + 0.7', 'return (a + b) + 0.7;', grouping(add)),
];

export const PRODUCTS_WITH_CONSTANT: readonly Probe<Grouping>[] = [
  probe('0.7·(a·b)', 'return 0.7 * (a * b);', grouping(multiply)),
  probe('(a·b)·0.7', 'return (a * b) * 0.7;', grouping(multiply)),
];

/** (a ∘ k) ∘ l, and a ∘ (k ∘ l). */
function twoConstants(operation: (x: number, y: number) => number) {
  return {
    draw: drawOne,
    outcomes: {
      'in order': ([a]: Inputs) => [operation(operation(a, K), L)],
      together: ([a]: Inputs) => [operation(a, operation(K, L))],
    },
  };
}

export const TWO_CONSTANTS: readonly Probe<'in order' | 'together'>[] = [
  probe('(a + 0.7) + 0.1', 'return (a + 0.7) + 0.1;', twoConstants(add)),
  probe('(a·0.7)·0.1', 'return (a * 0.7) * 0.1;', twoConstants(multiply)),
];

export const DIVISION_BY_CONSTANT: readonly Probe<'divided' | 'multiplied'>[] = [
  probe('a / 0.7', 'return a / 0.7;', {
    outcomes: { divided: ([a]) => [fround(a / K)], multiplied: ([a]) => [fround(a * fround(1 / K))] },
    draw: drawOne,
  }),
];

const barriered = (expression: string) => `bitcast<f32>(bitcast<u32>(${expression}) ^ probe.zero)`;

/** What stands in brackets is barred: its bits are exclusive-or a loaded zero. */
export const BARRIER_OF_BRACKETS: readonly Probe[] = [
  probe('0.7 + (a + b)', `return 0.7 + ${barriered('a + b')};`, grouping(add)),
  probe('0.7·(a·b)', `return 0.7 * ${barriered('a * b')};`, grouping(multiply)),
  probe('(a + 0.7) + 0.1', `return ${barriered('a + 0.7')} + 0.1;`, twoConstants(add)),
  probe('(a·0.7)·0.1', `return ${barriered('a * 0.7')} * 0.1;`, twoConstants(multiply)),
  probe('(a + b) − a', `return ${barriered('a + b')} - a;`, {
    outcomes: { 'in order': ([a, b]) => [add(add(a, b), -a)], folded: ([, b]) => [b] },
    draw: drawTwo,
  }),
];
