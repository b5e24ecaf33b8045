// What a probe is, and which inputs it gets: always the same pseudo-random numbers, of which those are kept on which
// the outcomes differ. So an adapter that does one thing cannot look by chance like one that does another. Pure data
// and pure functions.

/** Numbers of one case, as many as the probe has inputs, at most 16. A Float32Array keeps the bits of a NaN. */
export type Inputs = Float32Array<ArrayBuffer>;

/** The float32 results that one behaviour gives for the inputs of a case: one number, or four. */
export type Outcome = (x: Inputs) => readonly number[];

/** By the name of the behaviour. */
export type Outcomes<Behaviour extends string = string> = Readonly<Record<Behaviour, Outcome>>;

/** A formula in WGSL, its inputs, and what it gives for each behaviour that can be told from the others. */
export interface Probe<Behaviour extends string = string> {
  /** In the words of mathematics. */
  readonly formula: string;
  /**
   * WGSL statements that return f32 or, with `width` 4, vec4f. Inputs are `a`, `b`, `c`, … or `floats[at + k]`;
   * `probe.zero` and `stored_zero()` are zeros of which no compiler knows.
   */
  readonly wgsl: string;
  readonly width?: 4;
  readonly cases: readonly Inputs[];
  readonly outcomes: Outcomes<Behaviour>;
}

/** Cases of a probe whose outcomes can all differ from each other. */
const CASES = 16;

/** Numbers that are always the same (a linear congruential generator: Numerical Recipes, "quick and dirty"). */
export class Random {
  private state = 1;

  /** A whole number from 0 up to `count`, without it; at most 2^24. */
  below(count: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * count);
  }

  /** 1 or −1. */
  sign(): number {
    return this.below(2) === 0 ? 1 : -1;
  }

  /** ±m·2^e with m of 24 bits in [1, 2) and e from `low` to `high`. */
  float(low: number, high: number): number {
    return this.sign() * (1 + this.below(2 ** 23) * 2 ** -23) * 2 ** (low + this.below(high - low + 1));
  }
}

export type Draw = (random: Random) => readonly number[];

/** Whether two results are the same number: of two zeros the sign does not count, and a NaN is a NaN. */
export function isSame(x: number, y: number): boolean {
  return x === y || (Number.isNaN(x) && Number.isNaN(y));
}

/** Whether every two of these results differ somewhere. */
export function allDiffer(results: readonly (readonly number[])[]): boolean {
  return results.every((result, i) =>
    results.slice(0, i).every((other) => result.some((x, at) => !isSame(x, other[at]))),
  );
}

/** The first 16 of what `draw` gives on which every two outcomes differ. */
export function distinctCases(draw: Draw, outcomes: Outcomes): Inputs[] {
  const random = new Random();
  const cases: Inputs[] = [];
  for (let tries = 0; cases.length < CASES; tries++) {
    if (tries === 10_000) throw new Error('fingerprint: these outcomes never all differ.');
    const inputs = Float32Array.from(draw(random));
    if (allDiffer(Object.values(outcomes).map((outcome) => outcome(inputs)))) cases.push(inputs);
  }
  return cases;
}

/**
 * A probe on 16 drawn cases, on each of which all of its outcomes differ. They are drawn when they are first asked for.
 */
export function probe<Behaviour extends string>(
  formula: string,
  wgsl: string,
  { outcomes, width, draw }: { outcomes: Outcomes<Behaviour>; width?: 4; draw: Draw },
): Probe<Behaviour> {
  let cases: readonly Inputs[] | undefined;
  return {
    formula,
    wgsl,
    width,
    outcomes,
    get cases() {
      cases ??= distinctCases(draw, outcomes);
      return cases;
    },
  };
}

/**
 * The one behaviour whose outcomes are the results of every case; 'other' where there is none.
 * @param results by case, as many numbers as the probe has (more are not looked at)
 */
export function behaviourOf<Behaviour extends string>(
  { cases, outcomes }: Probe<Behaviour>,
  results: readonly ArrayLike<number>[],
): Behaviour | 'other' {
  const names = Object.keys(outcomes) as Behaviour[];
  const fits = (name: Behaviour) =>
    cases.every((inputs, i) => outcomes[name](inputs).every((want, lane) => isSame(results[i][lane], want)));
  return names.find(fits) ?? 'other';
}
