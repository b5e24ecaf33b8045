// What lessons measure: one number each, of the runs that the page shows. Works on recorded runs where these hold what is asked.
import { logitAttrs, stackHeadResults } from '../../index.ts';
import type { PageModel, PageRun } from '../page_run.ts';
import type { Runs } from '../session.ts';

/** What there is to measure. */
export interface Measured extends Runs {
  readonly model: PageModel;
}

export type Measure = (of: Measured) => Promise<number>;

export type Which = 'before' | 'after' | 'second';

const MISSING: Readonly<Record<Which, string>> = {
  before: 'there is no run',
  after: 'nothing is changed',
  second: 'there is no second prompt',
};

function runOf(of: Measured, which: Which): PageRun {
  const run = of[which];
  if (run) return run;
  throw new Error(`${MISSING[which]}.`);
}

/** The id of a token by its text. */
function tokenId({ config, tokenizer }: PageModel, text: string): number {
  for (let id = 0; id < config.dVocabOut; id++) if ((tokenizer?.tokenText(id) ?? String(id)) === text) return id;
  throw new Error(`there is no token "${text}".`);
}

/** The logits after the last position, [d_vocab_out]. */
function lastLogits({ logits: { data, shape } }: PageRun): Float32Array {
  return data.subarray(data.length - shape[shape.length - 1]);
}

/** The probability that one of these tokens comes next. */
export function probability(texts: readonly string[], which: Which = 'before'): Measure {
  return async (of) => {
    const logits = lastLogits(runOf(of, which));
    const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
    const share = (text: string) => Math.exp(logits[tokenId(of.model, text)] - largest) / total;
    return texts.reduce((sum, text) => sum + share(text), 0);
  };
}

/** The logit of one token less that of another, after the last position. */
export function logitDifference(right: string, wrong: string, which: Which = 'before'): Measure {
  return async (of) => {
    const logits = lastLogits(runOf(of, which));
    return logits[tokenId(of.model, right)] - logits[tokenId(of.model, wrong)];
  };
}

/** How much of its attention a head gives from one position to another; negative positions count from the end. */
export function attention(layer: number, head: number, from: number, to: number): Measure {
  return async (of) => {
    const run = runOf(of, 'before');
    const { data, shape } = await run.cache.get(`blocks.${layer}.attn.hook_pattern`).read();
    const [, , queries, keys] = shape;
    const at = (pos: number) => {
      const counted = pos < 0 ? pos + queries : pos;
      if (counted < 0 || counted >= queries) throw new Error(`there is no position ${pos} in this prompt.`);
      return counted;
    };
    return data[(head * queries + at(from)) * keys + at(to)];
  };
}

/** What a head says directly for one token rather than another, after the last position, with the final norm's gain. */
export function attribution(layer: number, head: number, right: string, wrong: string): Measure {
  return async (of) => {
    const [tokens, incorrectTokens] = [right, wrong].map((text) => tokenId(of.model, text));
    const key = `tour: heads for ${tokens} rather than ${incorrectTokens}`;
    const heads = await runOf(of, 'before').analysis(key, async (model, cache) => {
      const stack = stackHeadResults(model, cache, { pos: -1 });
      return [...(await logitAttrs(stack, { tokens, incorrectTokens, gain: true })).data];
    });
    return heads[layer * of.model.config.nHeads + head];
  };
}
