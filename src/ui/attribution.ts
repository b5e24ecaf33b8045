// Direct logit attribution of one run, as the page shows it: what every head, MLP, embedding and bias adds to a token's logit, or to the
// difference of two, and how their sum compares with what the model says. No DOM here.
import {
  type ActivationCache,
  getFullResidDecomposition,
  logitAttrs,
  type Model,
  type Numerics,
  type Tensor,
  zeroAblate,
} from '../index.ts';

/** Plain data: recordings hold it. */
export interface Attribution {
  /** `L0H0`, …, `0_mlp_out`, …, `embed`, `pos_embed`, `bias` (the sum of all b_O). */
  readonly labels: readonly string[];
  /** [component, pos], in the logits' unit. */
  readonly values: readonly number[];
  readonly positions: number;
  /** What the final norm's bias and b_U add at every position, whatever the components are. */
  readonly constant: number;
  /** The model's own, at every position; before the soft cap, where the model has one. */
  readonly logits: readonly number[];
}

/** Logits before the soft cap. */
const UNCAPPED = 'unembed.hook_out';

/** The tokens that are asked about, by id; `wrong` null: there is none to compare with. */
export interface AskedTokens {
  readonly answer: number;
  readonly wrong: number | null;
}

/** The key of `PageRun.analysis`. */
export const attributionKey = ({ answer, wrong }: AskedTokens) => `attribution ${answer} ${wrong ?? '-'}`;

/**
 * Computed on the GPU: copied are one number for each component and position.
 * @param logits those of the run, [1, pos, d_vocab_out]
 * @throws Error where a token does not exist
 */
export async function attributionOf(
  model: Model,
  cache: ActivationCache,
  asked: AskedTokens & { readonly logits: Tensor },
): Promise<Attribution> {
  const { answer, wrong } = asked;
  const { finalNormalizationType, outputLogitsSoftCap } = model.config;
  const hasGain = finalNormalizationType === 'LN' || finalNormalizationType === 'RMS';
  const stack = getFullResidDecomposition(model, cache, { expandNeurons: false });
  const { data } = await logitAttrs(stack, {
    tokens: answer,
    ...(wrong !== null && { incorrectTokens: wrong }),
    gain: hasGain,
  });
  const { data: logits, shape } = outputLogitsSoftCap === null ? asked.logits : await cache.read(UNCAPPED);
  return {
    labels: stack.labels,
    values: [...data],
    positions: shape[1],
    constant: await constantOf(model, asked, cache.get(UNCAPPED).numerics),
    logits: Array.from({ length: shape[1] }, (_, pos) => difference(logits, pos * shape[2], asked)),
  };
}

/** The logits of a stream of zeros: nothing but the final norm's bias times W_U, and b_U, is left. */
async function constantOf(model: Model, asked: AskedTokens, numerics: Numerics): Promise<number> {
  const { cache } = await model.run([[0]], {
    numerics,
    hooks: [[`blocks.${model.config.nLayers - 1}.hook_resid_post`, zeroAblate()]],
    capture: UNCAPPED,
    logits: 'none',
  });
  try {
    return difference((await cache.read(UNCAPPED)).data, 0, asked);
  } finally {
    cache.destroy();
  }
}

function difference(logits: ArrayLike<number>, offset: number, { answer, wrong }: AskedTokens): number {
  return logits[offset + answer] - (wrong === null ? 0 : logits[offset + wrong]);
}

export interface Bar {
  readonly label: string;
  readonly value: number;
}

/** The components at a position, in their order. */
export function barsAt({ labels, values, positions }: Attribution, pos: number): Bar[] {
  return labels.map((label, i) => ({ label, value: values[i * positions + pos] }));
}

/** The largest by size, and what the others add up to. */
export function largestOf(bars: readonly Bar[], count: number): Bar[] {
  const sorted = [...bars].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  if (sorted.length <= count) return sorted;
  const others = sorted.slice(count - 1);
  return [...sorted.slice(0, count - 1), { label: `${others.length} others`, value: sumOf(others) }];
}

export function sumOf(bars: readonly Bar[]): number {
  return bars.reduce((sum, { value }) => sum + value, 0);
}

/** The head or the value that a component is. */
export interface Component {
  readonly hook: string;
  readonly layer: number | null;
  readonly head: number | null;
}

/**
 * Null for sums of several.
 * @example
 * componentOf('L2H3'); // { hook: 'blocks.2.attn.hook_result', layer: 2, head: 3 }
 */
export function componentOf(label: string): Component | null {
  const head = /^L(\d+)H(\d+)$/.exec(label);
  if (head) return { hook: `blocks.${head[1]}.attn.hook_result`, layer: Number(head[1]), head: Number(head[2]) };
  const mlp = /^(\d+)_mlp_out$/.exec(label);
  if (mlp) return { hook: `blocks.${mlp[1]}.hook_mlp_out`, layer: Number(mlp[1]), head: null };
  if (label === 'embed' || label === 'pos_embed') return { hook: `hook_${label}`, layer: null, head: null };
  return null;
}
