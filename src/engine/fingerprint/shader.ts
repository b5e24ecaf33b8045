// All probes and built-in functions as one compute shader: its WGSL, its input and where the results lie. One workgroup
// of 64 invocations for each probe, and as many as the sample needs for each function; an invocation computes one case.
// Nothing can be computed at compile time: every number is loaded. And no two probes load the same one, so that no
// compiler can compute something once for both of them and treat neither as it would treat it alone.

import { BUILTIN_FUNCTIONS, type BuiltinName, sampleOf } from './builtin_functions.ts';
import type { Inputs, Probe } from './cases.ts';

const WORKGROUP = 64;
/** Numbers of one case in the input, and in the results. */
const INPUTS = 16;
const RESULTS = 4;
const LETTERS = 'abcdefghijklmnop';

/** One WGSL function and its cases. */
interface Part {
  readonly formula: string;
  readonly body: string;
  readonly type: 'f32' | 'vec4f';
  readonly cases: readonly Inputs[];
}

export interface FingerprintShader {
  readonly source: string;
  /** The cases, and a zero behind them. */
  readonly input: Float32Array<ArrayBuffer>;
  readonly workgroups: number;
  readonly resultBytes: number;
  /** The four results of every case of a probe, or of a function's sample. */
  readonly read: (what: Probe | BuiltinName, results: Float32Array) => Float32Array[];
}

export function createShader(probes: readonly Probe[]): FingerprintShader {
  const names = Object.keys(BUILTIN_FUNCTIONS) as BuiltinName[];
  const parts: Part[] = [...probes.map(probePart), ...names.map(functionPart)];
  const firsts: number[] = []; // the first workgroup of each part
  let workgroups = 0;
  for (const { cases } of parts) {
    firsts.push(workgroups);
    workgroups += Math.ceil(cases.length / WORKGROUP);
  }
  const input = new Float32Array(INPUTS * WORKGROUP * workgroups + 1);
  parts.forEach(({ cases }, part) => {
    cases.forEach((numbers, i) => {
      input.set(numbers, INPUTS * (WORKGROUP * firsts[part] + i));
    });
  });
  return {
    source: shaderSource(parts, firsts, input.length - 1),
    input,
    workgroups,
    resultBytes: 4 * RESULTS * WORKGROUP * workgroups,
    read(what, results) {
      const part = typeof what === 'string' ? probes.length + names.indexOf(what) : probes.indexOf(what);
      const begin = RESULTS * WORKGROUP * firsts[part];
      return parts[part].cases.map((_, i) => results.subarray(begin + RESULTS * i, begin + RESULTS * (i + 1)));
    },
  };
}

function probePart({ formula, wgsl, width, cases }: Probe): Part {
  const letters = [...LETTERS.slice(0, cases[0].length)];
  const loads = letters.map((letter, k) => `let ${letter} = floats[at + ${k}u];`).join(' ');
  return { formula, body: `${loads}\n  ${wgsl}`, type: width === 4 ? 'vec4f' : 'f32', cases };
}

function functionPart(name: BuiltinName): Part {
  const { wgsl } = BUILTIN_FUNCTIONS[name];
  const load = (from: number) => `vec4f(${[0, 1, 2, 3].map((lane) => `floats[at + ${from + lane}u]`).join(', ')})`;
  const body = `let x = ${load(0)};\n  let y = ${load(4)};\n  return ${wgsl};`;
  return { formula: name, body, type: 'vec4f', cases: sampleOf(BUILTIN_FUNCTIONS[name]) };
}

function shaderSource(parts: readonly Part[], firsts: readonly number[], zeroAt: number): string {
  const functions = parts.map(
    ({ formula, body, type }, part) => `// ${formula}\nfn part_${part}(at: u32) -> ${type} {\n  ${body}\n}`,
  );
  const cases = parts.map(({ cases, type }, part) => {
    const groups = Array.from({ length: Math.ceil(cases.length / WORKGROUP) }, (_, i) => firsts[part] + i);
    const at =
      groups.length === 1
        ? `${INPUTS}u * (${WORKGROUP * groups[0]}u + lane)` // known, so that its loads are like no other's
        : `${INPUTS}u * (${WORKGROUP}u * workgroup.x + lane)`;
    const call = `part_${part}(${at})`;
    const result = type === 'f32' ? `vec4f(${call}, 0.0, 0.0, 0.0)` : call;
    return `    case ${groups.map((group) => `${group}u`).join(', ')}: { result = ${result}; }`;
  });
  return `// fingerprint
struct Probe { zero: u32 }
@group(0) @binding(0) var<uniform> probe: Probe;
@group(0) @binding(1) var<storage, read> floats: array<f32>;
@group(0) @binding(2) var<storage, read_write> results: array<vec4f>;

fn stored_zero() -> u32 { return bitcast<u32>(floats[${zeroAt}u]); }

${functions.join('\n\n')}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  var result = vec4f();
  switch workgroup.x {
${cases.join('\n')}
    default: {}
  }
  results[${WORKGROUP}u * workgroup.x + lane] = result;
}
`;
}
