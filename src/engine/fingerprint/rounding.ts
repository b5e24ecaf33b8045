// How a sum, a difference and a product are rounded. WGSL names no rounding mode: of the two neighbours of the exact
// result an adapter may give either.
import { type Draw, type Inputs, type Outcomes, type Probe, Random } from './cases.ts';
import { ROUNDINGS } from './float32.ts';

export type Rounding = keyof typeof ROUNDINGS;

const { fround } = Math;

/** 16 ties and 16 others. Two ways of rounding agree on many of them, but on no more than half. */
function roundingCases(exact: (x: Inputs) => number, draw: Draw): Inputs[] {
  const random = new Random();
  const drawn = Array.from({ length: 400 }, () => Float32Array.from(draw(random)));
  const isTie = (x: Inputs) => {
    const [low, high] = [ROUNDINGS.downward(exact(x)), ROUNDINGS.upward(exact(x))];
    return low < high && exact(x) - low === high - exact(x);
  };
  const isOther = (x: Inputs) => !isTie(x) && fround(exact(x)) !== exact(x);
  return [...drawn.filter(isTie).slice(0, 16), ...drawn.filter(isOther).slice(0, 16)];
}

/** `exact` must be exact in float64. */
function roundingProbe(formula: string, exact: (x: Inputs) => number, draw: Draw): Probe<Rounding> {
  const outcomes = Object.entries(ROUNDINGS).map(([name, round]) => [name, (x: Inputs) => [round(exact(x))]]);
  return {
    formula,
    wgsl: `return ${formula};`,
    get cases() {
      return roundingCases(exact, draw);
    },
    outcomes: Object.fromEntries(outcomes) as Outcomes<Rounding>,
  };
}

/** A number of [1, 2) and some halves of its last place, or two numbers of any bits. */
const drawTerms: Draw = (random) =>
  random.below(2)
    ? [random.float(0, 0), random.sign() * (1 + 2 * random.below(4)) * 2 ** -24]
    : [random.float(0, 0), random.float(-6, -1)];

/** Of 13 bits each, whose product has a bit more than fits, or of 24. */
const drawFactors: Draw = (random) => {
  const few = () => random.sign() * (1 + (1 + 2 * random.below(2 ** 10)) * 2 ** -12);
  return random.below(2) ? [few(), few()] : [random.float(-3, 3), random.float(-3, 3)];
};

export const ROUNDING: readonly Probe<Rounding>[] = [
  roundingProbe('a + b', ([a, b]) => a + b, drawTerms),
  roundingProbe('a - b', ([a, b]) => a - b, drawTerms),
  roundingProbe('a * b', ([a, b]) => a * b, drawFactors),
];
