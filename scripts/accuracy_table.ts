// docs/accuracy.md and its summary in README.md: the error of every value of the three TransformerLens goldens, beside PyTorch's.
// Needs a WebGPU adapter in Node. test/models/goldens.gpu.test.ts holds these numbers to PyTorch's.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeFloat64, parseSafetensorsHeader } from '../src/engine/safetensors.ts';
import { describeAdapter, Model, type Numerics, requestDevice } from '../src/index.ts';
import { type ErrorSummary, errorSummary, GOLDEN_TOKENS } from '../test/models/goldens.ts';
import { markdownTable } from './hook_table.ts';

interface ValueErrors {
  readonly name: string;
  readonly ours: Readonly<Record<Numerics, ErrorSummary>>;
  readonly pytorch: ErrorSummary;
}

/** What a model of test/goldens is, in words. */
const MODELS: Readonly<Record<string, string>> = {
  gpt2: 'LayerNorm, gelu_new, learned positions',
  llama_gqa: 'RMSNorm, rotary, gated SiLU, grouped-query attention',
  relu_nonorm: 'no norms, ReLU',
};

export interface Accuracy {
  readonly adapter: string;
  readonly models: ReadonlyMap<string, readonly ValueErrors[]>;
}

/** Runs each golden model once and compares every value that TransformerLens has. */
export async function measureAccuracy(root: string): Promise<Accuracy> {
  const device = await requestDevice();
  const models = new Map<string, ValueErrors[]>();
  for (const [name, tokens] of Object.entries(GOLDEN_TOKENS)) {
    const folder = join(root, 'test/goldens', name);
    const golden = readFloat64(join(folder, 'golden.f64.safetensors'));
    const { f32_vs_f64: torch } = JSON.parse(readFileSync(join(folder, 'torch-f32-error.json'), 'utf8'));
    const model = await Model.load(folder, { device });
    const { cache: fast } = await model.runWithCache(tokens, { numerics: 'fast' });
    const { cache: reproducible } = await model.runWithCache(tokens, { numerics: 'reproducible' });
    const errors: ValueErrors[] = [];
    for (const hook of model.hooks.filter(({ ours, onDemand }) => !ours && !onDemand)) {
      const want = golden.get(hook.name);
      if (!want) throw new Error(`docs: ${name} has no golden value "${hook.name}".`);
      const [maxAbs, medianUlp] = torch[hook.name];
      const ours = {
        fast: errorSummary((await fast.read(hook.name)).data, want),
        reproducible: errorSummary((await reproducible.read(hook.name)).data, want),
      };
      errors.push({ name: hook.name, ours, pytorch: { maxAbs, medianUlp } });
    }
    models.set(name, errors);
    model.destroy();
  }
  const adapter = describeAdapter(device).text;
  device.destroy();
  return { adapter, models };
}

function readFloat64(path: string): Map<string, Float64Array> {
  const bytes = new Uint8Array(readFileSync(path));
  const { entries } = parseSafetensorsHeader(bytes, bytes.length, path);
  const floats = entries.filter(({ dtype }) => dtype === 'F64');
  return new Map(floats.map(({ name, dtype, begin, end }) => [name, decodeFloat64(dtype, bytes.subarray(begin, end))]));
}

const absolute = (error: number) => (error === 0 ? '0' : error.toExponential(1));
const ulps = (error: number) => error.toFixed(2);

export function accuracyPage({ adapter, models }: Accuracy): string {
  const head = ['value', 'max abs: fast', 'reproducible', 'PyTorch', 'median ULP: fast', 'reproducible', 'PyTorch'];
  const sections = [...models].map(([name, errors]) => {
    const lines = errors.map(({ name: value, ours, pytorch }) => [
      `\`${value}\``,
      ...[ours.fast, ours.reproducible, pytorch].map(({ maxAbs }) => absolute(maxAbs)),
      ...[ours.fast, ours.reproducible, pytorch].map(({ medianUlp }) => ulps(medianUlp)),
    ]);
    return `## ${name}\n\n${MODELS[name]}.\n\n${markdownTable([head, ...lines])}\n`;
  });
  return `<!-- Written by "npm run docs"; do not edit. -->

# Errors against float64, beside PyTorch's

Each table is one float32 run of a two-layer model with random weights over 2 × ${GOLDEN_TOKENS.gpt2[0].length} tokens. The truth is the same model in float64,
computed from the same float32 weights by TransformerLens 3.x in PyTorch 2.13 (test/goldens/*/golden.f64.safetensors); PyTorch's
own float32 errors against it were recorded with it (torch-f32-error.json).

${atOrBelow(models)}

- max abs: the largest |float32 − float64| of a value's elements. Masked scores are left out.
- median ULP: the middle of these errors in units of the last place of the true element as a float32.

Errors accumulate: the later a value, the more roundings are in it. test/models/goldens.gpu.test.ts fails where a value's largest
error is above twice PyTorch's or its median above PyTorch's plus 0.5, in both modes, in Node and in Chrome. This page is not compared with
anything: in fast mode other adapters round \`a·b + c\` once or twice and give other digits.

Adapter: ${adapter} (in Node).

${sections.join('\n')}`;
}

/** How often we are no worse, and by how much we are where we are. */
function atOrBelow(models: Accuracy['models']): string {
  const errors = [...models.values()].flat();
  const sentence = (numerics: Numerics): string => {
    const isAtOrBelow = (figure: keyof ErrorSummary) =>
      errors.filter(({ ours, pytorch }) => ours[numerics][figure] <= pytorch[figure]).length;
    const medians = errors.map(({ ours, pytorch }) => ours[numerics].medianUlp - pytorch.medianUlp);
    const largest = errors.map(({ ours, pytorch }) => ours[numerics].maxAbs / (pytorch.maxAbs || 1));
    return (
      `In ${numerics} mode the median is at or below PyTorch's in ${isAtOrBelow('medianUlp')} of ${errors.length} values, and ` +
      `${Math.max(...medians).toFixed(2)} ULP above it at most; the largest error is in ${isAtOrBelow('maxAbs')}, and ` +
      `${Math.max(...largest).toFixed(2)} × PyTorch's at most.`
    );
  };
  return `${sentence('fast')} ${sentence('reproducible')}`;
}

/** One line per model, for README.md. */
export function readmeAccuracy({ adapter, models }: Accuracy): string {
  const head = ['model', 'values', 'largest error of the logits', 'mean over the values of the median error'];
  const mean = (numbers: readonly number[]) => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;
  const lines = [...models].map(([name, errors]) => {
    const logits = errors.find((value) => value.name === 'logits');
    if (!logits) throw new Error(`docs: ${name} has no logits.`);
    const medians = [
      mean(errors.map(({ ours }) => ours.reproducible.medianUlp)),
      mean(errors.map(({ pytorch }) => pytorch.medianUlp)),
    ];
    return [
      `${name}: ${MODELS[name]}`,
      String(errors.length),
      `${absolute(logits.ours.reproducible.maxAbs)} \\| ${absolute(logits.pytorch.maxAbs)}`,
      `${medians.map(ulps).join(' \\| ')} ULP`,
    ];
  });
  return `${markdownTable([head, ...lines])}\n\nHyaline (reproducible) \\| PyTorch. Adapter: ${adapter}.`;
}
