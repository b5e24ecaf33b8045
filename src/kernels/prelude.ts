// What every kernel's WGSL starts from: products and multiply-adds whose rounding is ours to decide, what is stored, how a NaN is
// told, and how a scalar function (exp, tanh, …) is declared and pulled in. Not a kernel.
//
// Numerics. `fast`: a·b + c is one `fma`, which adapters may or may not fuse. `reproducible`: the same bits on every adapter,
// those of float32 arithmetic in which each operation is rounded by itself and results below 2⁻¹²⁶ are 0
// (src/numerics/emulation says it again in TypeScript). What WGSL allows an adapter to do otherwise, and what is done about it:
// - Fuse a product into the sum that it feeds: the product's bits are XOR-ed with a zero that is loaded from a buffer, and nobody
//   can see through that.
// - Reassociate. SPIR-V's optimizer makes (x + c₁) + c₂ one addition where both are constants (found in `reciprocal` by comparing
//   with the emulation), so sums of scalar multiply-adds are guarded in the same way. lavapipe also makes k + (a + b) into
//   (k + a) + b, k·(a·b) into (k·a)·b, and folds (a + b) − a. So no operator stands beside another: `product` and `plus` do.
// - Flush subnormal numbers, or keep them.
// - Ignore the sign of zero, and differ in whether a result just below 2⁻¹²⁶ is one: what is stored is +0 up to 2⁻¹²⁶.
// Adapters that flush by themselves and keep the order of sums (a measured property: engine/fingerprint.ts) need no more than that.
// For all others there is `guarded`, which flushes and guards every product and every sum; the bits are the same.
// Scalar functions are ours in any mode; no subgroups, no infinities, no built-in but abs, min, max, clamp, round and select.
//
// NaN and infinity: WGSL lets implementations assume that there are none, so no kernel makes them on purpose, and nothing
// about them is promised. Where they come in (a weight, an overflow) they should come out as IEEE 754 says, not as a number that
// looks like any other. Additions and products do that wherever compilers leave them alone; what would hide a NaN (comparisons,
// min, max, clamp, work on exponents) tells it by its bits, in integers, which no assumption about floats touches.

/** A scalar function of ours in WGSL: its source and the functions that it calls. */
export interface ScalarFunction {
  /** The WGSL identifier, e.g. `exp_f32`. */
  readonly name: string;
  /** WGSL source of this function (and of constants of its own) without what it `requires`. */
  readonly wgsl: string;
  readonly requires: readonly ScalarFunction[];
}

/** What a scalar function is held to: as a kernel's, its file exports it beside the function, and only tests need it. */
export interface FunctionTruth {
  /** The same function in float64. */
  readonly reference: (...args: number[]) => number;
  /** Largest error in units in the last place of the float32 result, over `domain`; a test sweeps it. */
  readonly maxUlp: number;
  /** Interval of each argument over which `maxUlp` holds. */
  readonly domain: readonly (readonly [number, number])[];
}

/**
 * How float32 results are rounded.
 * - `fast`: a·b + c is written as `fma`, which an adapter may round once or twice. The same request gives the same bits on the same
 *   device, whatever is captured, batched or cached; another adapter may differ in last places.
 * - `reproducible`: the same bits on every adapter, equal to an emulation in float32 arithmetic (`emulateForward`).
 */
export type Numerics = 'fast' | 'reproducible';

/** @throws Error if it is neither */
export function checkNumerics(numerics: unknown): Numerics {
  if (numerics === 'fast' || numerics === 'reproducible') return numerics;
  throw new Error(`run: numerics is 'fast' or 'reproducible', got ${JSON.stringify(numerics)}.`);
}

const STORED = /* wgsl */ `
fn stored(x: f32) -> f32 { return select(x, 0.0, (bitcast<u32>(x) & 0x7fffffffu) <= 0x00800000u); }
fn stored4(x: vec4f) -> vec4f {
  return select(x, vec4f(0.0), (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) <= vec4u(0x00800000u));
}
fn materialised(x: f32) -> f32 { return stored(rounded(x)); }`;

/** Numerics, and what an adapter needs for them: see above. */
export type Arithmetic = 'fast' | Guarding;

/** What an adapter needs for reproducible numerics: see above. */
export type Guarding = 'reproducible' | 'guarded';

/**
 * `product`: every product that feeds a sum; `plus`: every sum of more than two; `mul_add`: a·b + c; `stored`: every number that a
 * kernel writes; `materialised`: a value that goes on in registers where another plan would store it and load it again, with the
 * bits that it would then have: nobody sees through it, in any mode. `…4`: of vec4f. `is_nan`: by the bits.
 */
const ARITHMETIC: Readonly<Record<Arithmetic, string>> = {
  fast: /* wgsl */ `
fn product(a: f32, b: f32) -> f32 { return a * b; }
fn product4(a: f32, b: vec4f) -> vec4f { return a * b; }
fn plus(a: f32, b: f32) -> f32 { return a + b; }
fn plus4(a: vec4f, b: vec4f) -> vec4f { return a + b; }
fn mul_add(a: f32, b: f32, c: f32) -> f32 { return fma(a, b, c); }
fn mul_add4(a: f32, b: vec4f, c: vec4f) -> vec4f { return fma(vec4f(a), b, c); }
fn stored(x: f32) -> f32 { return x; }
fn stored4(x: vec4f) -> vec4f { return x; }
fn materialised(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ run.zero); }`,
  reproducible: /* wgsl */ `
fn rounded(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ run.zero); }
fn product(a: f32, b: f32) -> f32 { return rounded(a * b); }
fn product4(a: f32, b: vec4f) -> vec4f { return bitcast<vec4f>(bitcast<vec4u>(a * b) ^ vec4u(run.zero)); }
fn plus(a: f32, b: f32) -> f32 { return a + b; }
fn plus4(a: vec4f, b: vec4f) -> vec4f { return a + b; }
fn mul_add(a: f32, b: f32, c: f32) -> f32 { return rounded(product(a, b) + c); }
fn mul_add4(a: f32, b: vec4f, c: vec4f) -> vec4f { return product4(a, b) + c; }
${STORED}`,
  guarded: /* wgsl */ `
fn rounded(x: f32) -> f32 {
  let bits = bitcast<u32>(x) ^ run.zero;
  return bitcast<f32>(select(bits, 0u, (bits & 0x7fffffffu) < 0x00800000u));
}
fn rounded4(x: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(x) ^ vec4u(run.zero);
  return bitcast<vec4f>(select(bits, vec4u(0u), (bits & vec4u(0x7fffffffu)) < vec4u(0x00800000u)));
}
fn product(a: f32, b: f32) -> f32 { return rounded(a * b); }
fn product4(a: f32, b: vec4f) -> vec4f { return rounded4(a * b); }
fn plus(a: f32, b: f32) -> f32 { return rounded(a + b); }
fn plus4(a: vec4f, b: vec4f) -> vec4f { return rounded4(a + b); }
fn mul_add(a: f32, b: f32, c: f32) -> f32 { return rounded(product(a, b) + c); }
fn mul_add4(a: f32, b: vec4f, c: vec4f) -> vec4f { return rounded4(product4(a, b) + c); }
${STORED}`,
};

const IS_NAN = /* wgsl */ `
fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
`;

/**
 * WGSL source of the functions and of everything they require, each once, callees first, after the prelude. All but
 * `fast` need the run's uniforms declared before it (kernel.ts).
 */
export function functionsSource(functions: readonly ScalarFunction[], arithmetic: Arithmetic): string {
  const sources = new Map<string, string>();
  const visit = (f: ScalarFunction) => {
    if (sources.has(f.name)) return;
    for (const required of f.requires) visit(required);
    sources.set(f.name, f.wgsl.trim());
  };
  for (const f of functions) visit(f);
  return [ARITHMETIC[arithmetic].trim(), IS_NAN.trim(), ...sources.values()].join('\n\n');
}
