// Globs of names: by hand, and against picomatch, which reads the same signs in its own way.
import fc from 'fast-check';
import picomatch from 'picomatch';
import { expect, test } from 'vitest';
import { globMatcher, isGlob } from '../../src/hooks/globs.ts';

const NAMES = [
  ...[
    'hook_embed',
    'blocks.0.hook_resid_pre',
    'blocks.3.attn.hook_q',
    'blocks.3.attn.hook_k',
    'blocks.12.mlp.hook_post',
  ],
  ...['ln_final.hook_scale', 'a+b(c)$^|\\', 'x]y', '-'],
];

test.each([
  ['*', NAMES],
  ['blocks.*', NAMES.slice(1, 5)],
  ['*.hook_?', ['blocks.3.attn.hook_q', 'blocks.3.attn.hook_k']],
  ['blocks.[0-2].*', ['blocks.0.hook_resid_pre']],
  ['blocks.[!0-2].*', ['blocks.3.attn.hook_q', 'blocks.3.attn.hook_k']],
  ['blocks.{0,12}.*', ['blocks.0.hook_resid_pre', 'blocks.12.mlp.hook_post']],
  ['{*.attn.hook_[a-k],hook_*}', ['hook_embed', 'blocks.3.attn.hook_k']],
  ['blocks.?.hook*', ['blocks.0.hook_resid_pre']],
  ['a+b(c)$^|*', ['a+b(c)$^|\\']],
  ['[!a-z]', ['-']],
  ['[^b-a]', ['-']], // a range without members: any character
  ['[b-a]', []],
  ['hook', []],
])('%s means %o', (glob, expected) => {
  expect(NAMES.filter(globMatcher(glob))).toEqual(expected);
});

test('a text without a sign is a name, and so is one with a bracket that nothing closes', () => {
  expect(['a*', 'a?', '[ab]', '{a,b}'].every(isGlob)).toBe(true);
  expect(['a', 'blocks.0.hook_z', 'a[b', 'a{b', 'a]', '}', '!a', '[]'].some(isGlob)).toBe(false);
});

test('globs mean what picomatch says they do', () => {
  // Without [!…], a plain set for it unless it reads as POSIX does, and without two dots, a range for it.
  const word = fc.stringMatching(/^[a-d_0-3]{1,3}(\.[a-d])?$/);
  const set = fc.tuple(fc.constantFrom('', '^'), fc.stringMatching(/^([a-d0-3]|a-c|0-2){1,3}$/));
  const plain = fc.oneof(
    { weight: 3, arbitrary: word },
    fc.constantFrom('*', '?'),
    set.map(([not, members]) => `[${not}${members}]`),
  );
  const alternatives = fc.array(plain, { minLength: 2, maxLength: 3 }).map((parts) => `{${parts.join(',')}}`);
  const glob = fc.array(fc.oneof({ weight: 3, arbitrary: plain }, alternatives), { minLength: 1, maxLength: 5 });
  const name = fc.stringMatching(/^[a-d][a-d._0-3]{0,7}$/);
  let matches = 0;
  fc.assert(
    fc.property(
      glob.map((parts) => parts.join('')),
      fc.array(name, { minLength: 8, maxLength: 8 }),
      (pattern, names) => {
        fc.pre(isGlob(pattern));
        const theirs = picomatch(pattern, { dot: true });
        for (const candidate of names) {
          expect([candidate, globMatcher(pattern)(candidate)]).toEqual([candidate, theirs(candidate)]);
          if (theirs(candidate)) matches++;
        }
      },
    ),
    { seed: 1, numRuns: 2000 },
  );
  expect(matches).toBeGreaterThan(500);
});

test('any text can be read', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab[]{}!^-,*?\\.|()$+') }), fc.string(), (glob, name) => {
      expect(typeof globMatcher(glob)(name)).toBe('boolean');
    }),
    { seed: 2, numRuns: 3000 },
  );
});
