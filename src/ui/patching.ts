// Activation patching as the page asks for it: kinds of patches, what stands in the way, and the numbers with both ends of their scale.
// No DOM here.
import { activationPatching, type Model, type PatchKind, type SweepProgress, sweep } from '../index.ts';
import { distributionAt } from './distribution.ts';
import { atIndex } from './edits.ts';
import type { PageRun } from './page_run.ts';
import { createEdit, type Edit, type PageState } from './state.ts';

/** What is patched, one cell at a time. */
export interface PatchChoice {
  readonly title: string;
  /** The value within a block. */
  readonly hook: string;
}

/** In the order of the menu. */
export const PATCH_KINDS: Readonly<Partial<Record<PatchKind, PatchChoice>>> = {
  resid_pre: { title: 'residual stream before the block: layer × position', hook: 'hook_resid_pre' },
  resid_mid: { title: 'residual stream between attention and MLP: layer × position', hook: 'hook_resid_mid' },
  attn_out: { title: 'attention output: layer × position', hook: 'hook_attn_out' },
  mlp_out: { title: 'MLP output: layer × position', hook: 'hook_mlp_out' },
  attn_head_out_all_pos: { title: 'output of heads (z): layer × head', hook: 'attn.hook_z' },
  attn_head_q_all_pos: { title: 'queries: layer × head', hook: 'attn.hook_q' },
  attn_head_k_all_pos: { title: 'keys: layer × head', hook: 'attn.hook_k' },
  attn_head_v_all_pos: { title: 'values: layer × head', hook: 'attn.hook_v' },
  attn_head_pattern_all_pos: { title: 'attention patterns: layer × head', hook: 'attn.hook_pattern' },
  attn_head_out_by_pos: { title: 'output of heads (z): layer × position × head', hook: 'attn.hook_z' },
};

/** A sweep of patches, with all that decides its numbers. */
export interface PatchingRequest {
  readonly kind: string;
  /** The prompt's run, which is patched. */
  readonly corrupted: PageRun;
  /** The second prompt's, which values come from. */
  readonly clean: PageRun;
  /** The metric: logit of the first − logit of the second, at the last position. */
  readonly tokens: readonly [number, number];
  /** Under this name the prompt's run keeps the result. */
  readonly key: string;
}

/** The metric after each patch, and what it is with none and with all. Plain data. */
export interface PatchingMap {
  readonly axes: readonly string[];
  readonly shape: readonly number[];
  readonly data: readonly number[];
  readonly corrupted: number;
  readonly clean: number;
}

/**
 * What the state asks for: the most probable token of each prompt where none is named.
 * @param nameOf a token's name by its id
 * @throws Error that says what to do, where a sweep would mean nothing
 */
export function patchingRequest(
  { patchKind: kind, answer, wrong }: Pick<PageState, 'patchKind' | 'answer' | 'wrong'>,
  { before, second }: { readonly before: PageRun; readonly second: PageRun | null },
  nameOf: (token: number) => string,
): PatchingRequest {
  if (!second) throw new Error('Patching takes values from a second prompt. Type one under "Changes".');
  const [count, other] = [before.ids.length, second.ids.length];
  if (count !== other) {
    throw new Error(
      `The prompt has ${count} tokens, the second one ${other}. Position by position, values can only be taken from a prompt of ` +
        'equal length: change one of them.',
    );
  }
  const tokens = [
    answer ?? distributionAt(before, -1).top(1)[0],
    wrong ?? distributionAt(second, -1).top(1)[0],
  ] as const;
  if (tokens[0] === tokens[1]) {
    throw new Error(
      `Both prompts are followed by ${nameOf(tokens[0])}, so there is no difference to measure. Name two tokens under "Next token".`,
    );
  }
  const key = `patching ${kind} ${tokens.join(' ')} ${second.ids.join(' ')}`;
  return { kind, corrupted: before, clean: second, tokens, key };
}

export interface PatchingWork {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: SweepProgress) => void;
}

/** Copies in one pass: so few that progress is seen, and a cancelled sweep ends soon. */
const COPIES = 16;

/** Runs the sweep, or gives what the run has kept of it. In the numerics of the model, as sweeps are. */
export async function runPatching(request: PatchingRequest, work: PatchingWork): Promise<PatchingMap> {
  for (;;) {
    try {
      return await sweepOnce(request, work);
    } catch (error) {
      // The run may still have been at the same sweep, which somebody stopped before.
      const isOthersEnd = error instanceof DOMException && error.name === 'AbortError' && !work.signal.aborted;
      if (!isOthersEnd) throw error;
    }
  }
}

function sweepOnce(request: PatchingRequest, { signal, onProgress }: PatchingWork): Promise<PatchingMap> {
  const { kind, corrupted, clean, tokens, key } = request;
  const metric = { tokens };
  const unpatched = async (model: Model, ids: readonly number[]) =>
    (await sweep(model, ids, [[]], { metric, signal })).data[0];
  return corrupted.analysis(key, async (model) => {
    const ends = { corrupted: await unpatched(model, corrupted.ids), clean: await unpatched(model, clean.ids) };
    const { axes, shape, data } = await activationPatching(model, {
      ...{ clean: clean.ids, corrupted: corrupted.ids, kind: kind as PatchKind, metric },
      ...{ signal, onProgress, maxCopies: COPIES },
    });
    return { axes, shape, data: Array.from(data), ...ends };
  });
}

/** 0: as without the patch; 1: as in the clean prompt. */
export function recovery(metric: number, { corrupted, clean }: Pick<PatchingMap, 'corrupted' | 'clean'>): number {
  return (metric - corrupted) / (clean - corrupted);
}

/** The change that does what one cell did. */
export function patchOfCell(kind: string, index: Readonly<Record<string, number>>): Edit | null {
  const choice = Object.hasOwn(PATCH_KINDS, kind) && PATCH_KINDS[kind as PatchKind];
  if (!choice) return null;
  const { layer, ...place } = index;
  return createEdit('patch', `blocks.${layer}.${choice.hook}`, { at: atIndex(place) });
}
