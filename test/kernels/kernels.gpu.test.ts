// Every kernel on every case of the table, against its own float64 reference within its own tolerance.

import { afterAll, describe, expect, test } from 'vitest';
import { inChromeEvery } from '../sample.ts';
import { CASES, findCase, type KernelCase } from './cases.ts';
import { checkCase } from './check.ts';

/** Largest error as a share of its bound, where it was, and how many cases have run, by kernel. */
const shares = new Map<string, { share: number; title: string; count: number }>();

for (const [name, cases] of Object.entries(CASES)) {
  describe(`${name} is within its bound of float64, whatever its outputs held, and gives the same bits again`, () => {
    const titled = inChromeEvery(12, cases).map((kernelCase) => [kernelCase.title, kernelCase] as const);
    test.each(titled)('%s', async (title, kernelCase) => {
      const share = await checkCase(kernelCase);
      const before = shares.get(name) ?? { share: 0, title, count: 0 };
      shares.set(name, { ...(share > before.share ? { share, title } : before), count: before.count + 1 });
    });
  });
}

afterAll(() => {
  const lines = [...shares].map(([name, { share, title }]) => `  ${name}: ${share.toPrecision(3)} (${title})`);
  console.log(`largest error as a share of its bound\n${lines.join('\n')}`);
});

/** Kernels that only copy: their bounds are 0. */
const EXACT = ['cache_append', 'copy_heads', 'mark_token', 'position_embedding', 'token_embedding'];

test('bounds are no more than a hundred times the largest error', () => {
  for (const [name, { share, count }] of shares) {
    if (count === CASES[name].length && !EXACT.includes(name)) expect(share, name).toBeGreaterThan(0.01);
  }
});

/** A kernel of which a piece of WGSL is another, on one of its cases. */
function mutate(kernelCase: KernelCase, ...replacements: readonly (readonly [string, string])[]): KernelCase {
  const { kernel } = kernelCase;
  const wgsl = (variant: KernelCase['variant']) => {
    let source = kernel.wgsl(variant);
    for (const [from, to] of replacements) {
      if (!source.includes(from)) throw new Error(`${kernel.name} has no "${from}" to replace`);
      source = source.replaceAll(from, to);
    }
    return source;
  };
  return { ...kernelCase, kernel: { ...kernel, wgsl } };
}

describe('a wrong kernel fails', () => {
  const mutants: [string, KernelCase, string][] = [
    [
      'residual_stack that forgets to subtract a direction',
      mutate(findCase('residual_stack', 'd_model 65, component'), [
        'd = plus(d, -minus[direction_first + i]);',
        'd = plus(d, 0.0 * minus[direction_first + i]);',
      ]),
      'not within their bound',
    ],
    [
      'top_tokens that takes the later of two equal logits',
      mutate(findCase('top_tokens', 'logits all equal'), ['best_ids[i] < id', 'best_ids[i] > id']),
      'not within their bound',
    ],
    [
      'sample that takes the later of two equal logits',
      mutate(findCase('sample', 'greedy true', 'all equal'), ['order > best', 'order >= best']),
      'not within their bound',
    ],
    [
      'sample that takes a bin too early',
      mutate(findCase('sample', 'd_vocab_out 65; greedy false'), [
        'is_more(after, sought)',
        'is_more(after, sought) || bin == 3u',
      ]),
      'not within their bound',
    ],
    [
      'pattern_match that counts the position itself',
      mutate(findCase('pattern_match', 'excludeCurrentToken true'), ['key == query', 'key > run.pos']),
      'not within their bound',
    ],
    [
      'norm with E[x²] − E[x]² at mean 1000',
      mutate(
        findCase('norm', 'd_model 128; centred true; eps 0.00001; x mean 1000'),
        ['let leading = plus(x[begin], -mean);', 'let leading = x[begin];'],
        ['let centred = plus(x[i], -mean);', 'let centred = x[i];'],
        ['scale_of(total(local))', 'scale_of(abs(total(local) - mean * mean * f32(d_model)))'],
      ),
      'not within their bound',
    ],
    [
      'matmul without its last term',
      mutate(findCase('matmul', 'pos 33, d_in 65'), ['return d_in;', 'return d_in - 1u;']),
      'not within their bound',
    ],
    [
      'add without its last element',
      mutate(findCase('add', 'd_model 65; a mean 1000'), ['i >= run', 'i + 1u >= run']),
      'in two dispatches on the same inputs',
    ],
    [
      'token_embedding that writes what belongs to another piece',
      mutate(findCase('token_embedding', 'firstToken 10'), [
        '>= d_vocab) { return; }',
        '>= d_vocab) { out[i] = 0.0; return; }',
      ]),
      'belongs to another piece and was written',
    ],
    [
      'attention_scores without a mask',
      mutate(findCase('attention_scores', 'pos 3, n_heads 4', 'd_head 32'), ['column > position', 'false']),
      'not within their bound',
    ],
    [
      'attention_pattern without the maximum subtracted, at magnitude 1e4',
      mutate(findCase('attention_pattern', 'magnitude 1e4'), ['plus(score, -maximum)', 'score']),
      'not within their bound',
    ],
    [
      'silu by the built-in tanh, which cancels for negative arguments',
      mutate(findCase('activation', 'silu; without', 'from -110'), [
        'product(x, sigmoid(x))',
        '0.5 * x * (1.0 + tanh(0.5 * x))',
      ]),
      'not within their bound',
    ],
  ];
  test.each(mutants)('%s', async (_, mutant, message) => {
    await expect(checkCase(mutant)).rejects.toThrow(message);
  });
});
