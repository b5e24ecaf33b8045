import { expect, test } from 'vitest';
import { textOfToken, tokenBytes, visibleToken } from '../../src/elements/token_text.ts';

test('a label shows spaces and escapes controls, without quotes around it', () => {
  expect([' Mary', 'a"b', '\n\n', 'a\\', '\u202e', '', '  x'].map(visibleToken)).toEqual([
    '·Mary',
    'a"b',
    '\\n\\n',
    'a\\\\',
    '\\u202e',
    '""',
    '··x',
  ]);
});

test('bytes are those of the text, and unknown for a part of a character', () => {
  // é is U+00E9: 110.00011 10.101001
  expect([' é', 'A', '\ufffd', 'a\ufffd'].map(tokenBytes)).toEqual(['20 c3 a9', '41', null, null]);
});

test('a token without a text is its id', () => {
  const config = { nLayers: 1, nHeads: 1 };
  const tokenText = (id: number) => {
    if (id > 1) throw new Error(`tokenizer: there is no token ${id}`);
    return 'ab'[id];
  };
  expect([0, 1, 2].map((id) => textOfToken({ config, tokenizer: { tokenText } }, id))).toEqual(['a', 'b', '2']);
  expect(textOfToken({ config, tokenizer: null }, 1)).toBe('1');
  expect(textOfToken(null, 1)).toBe('1');
});
