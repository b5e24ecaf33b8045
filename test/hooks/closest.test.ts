import { expect, test } from 'vitest';
import { closest } from '../../src/hooks/closest.ts';

test('the closest name has the fewest characters to insert, delete and replace', () => {
  expect(closest('hook_patern', ['hook_z', 'hook_pattern', 'hook_attn_out'])).toBe('hook_pattern'); // 1 inserted
  expect(closest('abcd', ['dcba', 'abxd', 'abc_d_'])).toBe('abxd'); // 1 replaced; 2 inserted; 4 replaced
  expect(closest('kitten', ['sitting', 'itten', 'bitten'])).toBe('itten'); // 3; 1 deleted; 1 replaced, which comes later
  expect(closest('', ['ab', 'a'])).toBe('a');
  expect(closest('hook_k', ['hook_q', 'hook_v'])).toBe('hook_q'); // the first of equals
});
