// A model's weights as TransformerLens names and shapes them: which a user means, and what the GPU holds of them.
import { closest } from 'fastest-levenshtein';
import { type ModelConfig, type WeightSpec, weightSpecs } from '../engine/config.ts';
import type { Runtime } from '../engine/runtime.ts';
import { unpackWeight } from '../engine/weights.ts';
import { globMatcher, isGlob } from './globs.ts';
import { kindOf } from './kind_of.ts';
import type { Tensor } from './tensor.ts';

const EMBEDDING = 'embed.W_E';
const UNEMBEDDING = 'unembed.W_U';

/** A name, a glob (`blocks.*.attn.W_*`; `*` also crosses dots), a predicate, or a list of names and globs, of weights. */
export type WeightNames = string | readonly string[] | ((name: string) => boolean);

/**
 * The weights that are meant, in forward order, each once.
 * @throws Error where a name or glob matches nothing, with the nearest name
 */
export function selectWeights(config: ModelConfig, names: WeightNames): WeightSpec[] {
  const specs = weightSpecs(config);
  if (typeof names === 'function') return specs.filter(({ name }) => names(name));
  if (typeof names !== 'string' && !Array.isArray(names)) {
    throw new Error(`weights: expected a name, a glob, a list of them or a predicate, got ${kindOf(names)}.`);
  }
  const wanted = new Set([names].flat().flatMap((name: string) => matching(config, specs, name)));
  return specs.filter((spec) => wanted.has(spec));
}

function matching(config: ModelConfig, specs: readonly WeightSpec[], wanted: string): WeightSpec[] {
  if (typeof wanted !== 'string' || wanted === '') {
    const came = wanted === '' ? 'an empty one' : kindOf(wanted);
    throw new Error(`weights: expected a name or a glob, got ${came}.`);
  }
  const isMatch = isGlob(wanted) ? globMatcher(wanted) : (name: string) => name === wanted;
  const matches = specs.filter(({ name }) => isMatch(name));
  if (matches.length > 0) return matches;
  if (config.tiedEmbedding && isMatch(UNEMBEDDING)) {
    throw new Error(
      `weights: this model has no ${UNEMBEDDING} of its own: it is the transpose of ${EMBEDDING}, which serves both ends.`,
    );
  }
  return notFound(specs, wanted, isGlob(wanted) ? `no weight matches "${wanted}"` : `no weight "${wanted}"`);
}

function notFound(specs: readonly WeightSpec[], name: string, problem: string): never {
  const names = specs.map((spec) => spec.name);
  throw new Error(`weights: ${problem}. Did you mean "${closest(name, names)}"?`);
}

/**
 * One weight: zeros where the checkpoint leaves a bias out, the embedding's transpose for `unembed.W_U` of a tied model.
 * @throws Error where there is no weight of this name, with the nearest one
 */
export async function readWeight(runtime: Runtime, config: ModelConfig, name: string): Promise<Tensor> {
  const specs = weightSpecs(config);
  if (name === UNEMBEDDING && config.tiedEmbedding)
    return tiedUnembedding(await readWeight(runtime, config, EMBEDDING));
  const spec = specs.find((candidate) => candidate.name === name);
  if (!spec) return notFound(specs, name, `no weight "${name}"`);
  return { name, data: await elements(runtime, spec), shape: spec.shape, axes: spec.axes };
}

async function elements(runtime: Runtime, spec: WeightSpec): Promise<Float32Array<ArrayBuffer>> {
  const weight = runtime.weight(spec.name);
  const packed = await runtime.readWeight(spec.name);
  if (!weight || !packed) return new Float32Array(spec.shape.reduce((a, b) => a * b, 1));
  return unpackWeight(spec, packed, weight.layout);
}

function tiedUnembedding({ data, shape: [dVocab, dModel] }: Tensor): Tensor {
  const transposed = new Float32Array(data.length);
  for (let token = 0; token < dVocab; token++) {
    for (let d = 0; d < dModel; d++) transposed[d * dVocab + token] = data[token * dModel + d];
  }
  return { name: UNEMBEDDING, data: transposed, shape: [dModel, dVocab], axes: ['d_model', 'd_vocab_out'] };
}
