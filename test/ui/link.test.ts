// The page's state in its link: nothing is lost on the way, and what cannot be is left out with a word, whatever a link says.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { linkOf, readLink } from '../../src/ui/link.ts';
import { pinOf } from '../../src/ui/pins.ts';
import {
  createEdit,
  DEFAULT_STATE,
  type Direction,
  EDIT_KINDS,
  type Edit,
  EMBEDDED_MODELS,
  type PageState,
  startOf,
  VIEWS,
} from '../../src/ui/state.ts';

const text = fc.string({ unit: 'binary', maxLength: 40 });
const count = fc.nat();
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0); // JSON has no −0
const record = <T>(value: fc.Arbitrary<T>) => fc.dictionary(text, value, { maxKeys: 4, noNullPrototype: true });

const direction: fc.Arbitrary<Direction> = fc.oneof(
  fc.record({
    from: fc.constantFrom('unembed' as const, 'embed' as const),
    token: count,
    minus: fc.option(count),
  }),
  fc.record({ from: fc.constant('difference' as const), pos: fc.option(fc.integer()) }),
  fc.record({ from: fc.constant('numbers' as const), numbers: fc.array(number) }),
);

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom(...EDIT_KINDS),
  hook: text,
  at: record(text),
  amount: number,
  direction: fc.option(direction),
  expression: text,
  isOn: fc.boolean(),
});

const ARBITRARIES: { [Key in keyof PageState]: fc.Arbitrary<PageState[Key]> } = {
  model: fc.oneof(fc.constantFrom(...EMBEDDED_MODELS), text.filter(Boolean)),
  prompt: text,
  second: text,
  numerics: fc.constantFrom('fast', 'reproducible'),
  view: fc.constantFrom(...VIEWS),
  pos: fc.integer(),
  hook: text,
  rows: text,
  columns: text,
  index: record(count),
  compared: text,
  layer: count,
  head: count,
  answer: fc.option(count),
  wrong: fc.option(count),
  edits: fc.array(edit, { maxLength: 3 }),
  pins: fc.array(
    fc.record({
      model: text,
      prompt: text,
      numerics: fc.constantFrom('fast' as const, 'reproducible' as const),
      edits: fc.array(edit, { maxLength: 1 }),
      second: text,
      hook: text,
      index: record(count),
    }),
    { maxLength: 2 },
  ),
  patchKind: text,
  maxNewTokens: fc.integer({ min: 1 }),
  temperature: number.map(Math.abs),
  topK: count,
  seed: count,
  figure: text,
  study: fc.record({
    weights: text,
    weightFormat: fc.constantFrom('', 'bf16', 'int8'),
    values: text,
    valueFormat: fc.constantFrom('', 'f16', 'fp8_e4m3'),
    first: count,
    last: fc.integer({ min: -1 }),
  }),
  lesson: fc.integer({ min: -1 }),
  step: count,
};

test('any state comes back from its link, also where a browser has escaped it', () => {
  const states = fc.record(ARBITRARIES);
  fc.assert(
    fc.property(states, (state) => {
      const link = linkOf(state);
      expect(link[0]).toBe('#');
      expect(readLink(link)).toEqual({ state, problems: [] });
      expect(readLink(new URL(link, 'https://example.org/some/path/').hash)).toEqual({ state, problems: [] });
    }),
    { numRuns: 300 },
  );
});

test('what is as at the start is left out', () => {
  expect(linkOf(DEFAULT_STATE)).toBe('#');
  expect(linkOf(startOf('modular-addition'))).toBe('#model=modular-addition');
  expect(linkOf({ ...DEFAULT_STATE, prompt: '37 90 113' })).toBe('#prompt=37+90+113');
  expect(linkOf({ ...startOf('modular-addition'), view: 'lens', pos: 2 })).toBe(
    '#model=modular-addition&view=lens&pos=2',
  );
});

test('without a # and empty: the first state', () => {
  for (const hash of ['', '#', '#&', '#&&']) expect(readLink(hash)).toEqual({ state: DEFAULT_STATE, problems: [] });
  expect(readLink('prompt=Hello&view=lens').state).toEqual({ ...DEFAULT_STATE, prompt: 'Hello', view: 'lens' });
});

describe('what does not fit is left out with a sentence', () => {
  test.each([
    ['#colour=red', 'The link says "colour", which this page does not know.'],
    ['#__proto__=1', 'The link says "__proto__", which this page does not know.'],
    ['#constructor=1', 'The link says "constructor", which this page does not know.'],
    ['#toString=1', 'The link says "toString", which this page does not know.'],
    [`#${'a'.repeat(1000)}=1`, `The link says "${'a'.repeat(60)}…", which this page does not know.`],
    ['#pos=last', 'The link\'s pos is "last", which cannot be.'],
    ['#pos=1.5', 'The link\'s pos is "1.5", which cannot be.'],
    ['#pos=1e999', 'The link\'s pos is "1e999", which cannot be.'],
    ['#pos=', 'The link\'s pos is "", which cannot be.'],
    ['#layer=-1', 'The link\'s layer is "-1", which cannot be.'],
    ['#view=lenses', 'The link\'s view is "lenses", which cannot be.'],
    ['#numerics=exact', 'The link\'s numerics is "exact", which cannot be.'],
    ['#model=', 'The link\'s model is "", which cannot be.'],
    ['#edits={}', 'The link\'s edits is "{}", which cannot be.'],
    ['#edits=[null]', 'The link\'s edits is "[null]", which cannot be.'],
    ['#edits=[{"kind":"zero"}]', 'The link\'s edits is "[{\\"kind\\":\\"zero\\"}]", which cannot be.'],
    ['#index=[1]', 'The link\'s index is "[1]", which cannot be.'],
    ['#index={"pos":"1"}', 'The link\'s index is "{\\"pos\\":\\"1\\"}", which cannot be.'],
    ['#answer="747"', 'The link\'s answer is "\\"747\\"", which cannot be.'],
    ['#maxNewTokens=0', 'The link\'s maxNewTokens is "0", which cannot be.'],
    ['#temperature=-1', 'The link\'s temperature is "-1", which cannot be.'],
    ['#lesson=-2', 'The link\'s lesson is "-2", which cannot be.'],
  ])('%s', (link, problem) => {
    const { state, problems } = readLink(link);
    expect(problems).toEqual([problem]);
    expect(state).toEqual(DEFAULT_STATE);
  });

  test('and the rest stays', () => {
    const { state, problems } = readLink('#prompt=Hello&pos=last&view=lens&nonsense');
    expect(state).toEqual({ ...DEFAULT_STATE, prompt: 'Hello', view: 'lens' });
    expect(problems.length).toBe(2);
  });
});

test('whatever a link says, a whole state comes of it', () => {
  const keys = fc.oneof(fc.constantFrom(...Object.keys(DEFAULT_STATE)), text);
  const values = fc.oneof(fc.json(), text, fc.constantFrom('%', '%E0%A4%A', '%00', '+', '\u202e', '𝕏\ud800'));
  const links = fc.array(fc.tuple(keys, values)).map((pairs) => `#${pairs.map(([k, v]) => `${k}=${v}`).join('&')}`);
  fc.assert(
    fc.property(links, (link) => {
      const { state } = readLink(link);
      expect(Object.keys(state).sort()).toEqual(Object.keys(DEFAULT_STATE).sort());
      // What was taken is a state like any other.
      expect(readLink(linkOf(state))).toEqual({ state, problems: [] });
    }),
    { numRuns: 500 },
  );
});

test('a model of any name begins with a prompt', () => {
  for (const model of ['constructor', '__proto__', 'toString']) {
    expect(readLink(`#model=${model}`).state).toEqual({ ...DEFAULT_STATE, model });
  }
});

test('more changes or pins than anybody can look at are left out', () => {
  const edit = createEdit('zero', 'hook_embed');
  const pin = pinOf({ ...DEFAULT_STATE, hook: 'hook_embed' }, { pos: 0 });
  for (const [key, one] of Object.entries({ edits: edit, pins: pin })) {
    const link = (count: number) => `#${key}=${encodeURIComponent(JSON.stringify(Array(count).fill(one)))}`;
    expect(readLink(link(100)).problems).toEqual([]);
    expect(readLink(link(101)).problems).toHaveLength(1);
  }
});

test('what looks like a program stays text', () => {
  for (const prompt of [
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "javascript:alert('1')",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what somebody may put into a link
    '${alert(1)}',
    '</title><svg onload=alert(1)>',
    '&lt;b&gt; &prompt=other#view=lens',
    '\0\u2028\u202e',
  ]) {
    expect(readLink(linkOf({ ...DEFAULT_STATE, prompt })).state.prompt).toBe(prompt);
    expect(linkOf({ ...DEFAULT_STATE, prompt })).not.toMatch(/[<>"'{}\s\0]/);
  }
});

test('a megabyte is read as quickly as it stands there', () => {
  const prompt = 'word '.repeat(200_000);
  expect(readLink(linkOf({ ...DEFAULT_STATE, prompt })).state.prompt).toBe(prompt);
  const deep = `#edits=${'['.repeat(100_000)}`;
  expect(readLink(deep).problems.length).toBe(1);
  const { state, problems } = readLink(`#edits=${JSON.stringify(Array(20_000).fill(7))}`);
  expect([state.edits, problems.length]).toEqual([[], 1]);
});
