// The file of a recorded session, without a GPU: what is in it comes back bit for bit, and what is none is refused.
import { expect, test } from 'vitest';
import { fromBits, SafetensorsFile, type WritableTensor, writeSafetensors } from '../../src/index.ts';
import { linkOf } from '../../src/ui/link.ts';
import { openRecording, recordSession } from '../../src/ui/recording.ts';
import { DEFAULT_STATE } from '../../src/ui/state.ts';

const NAN_WITH_PAYLOAD = 0x7fc12345;
const STATE = { ...DEFAULT_STATE, prompt: 'a b', view: 'lens' as const };

const tensor = (name: string, shape: number[], data: Float32Array<ArrayBuffer>): WritableTensor => ({
  name,
  dtype: 'F32',
  shape,
  data,
});

const TENSORS = [
  tensor('before/x', [1, 2, 2], Float32Array.of(-0, fromBits(NAN_WITH_PAYLOAD), Number.NEGATIVE_INFINITY, 2 ** -149)),
  tensor('before/logits', [1, 2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)),
];
new Uint32Array(TENSORS[0].data.buffer as ArrayBuffer)[1] = NAN_WITH_PAYLOAD; // numbers may lose it

const RUN = {
  ids: [1, 2],
  tokens: ['a', ' b'],
  numerics: 'reproducible',
  warnings: [],
  values: [
    { name: 'x', axes: ['batch', 'pos', 'd_model'], tensor: 'before/x' },
    { name: 'alias of x', axes: ['batch', 'pos', 'd_model'], tensor: 'before/x' },
    { name: 'logits', axes: ['batch', 'pos', 'd_vocab_out'], tensor: 'before/logits' },
  ],
  analyses: {
    'statistics x': { mean: 1.5 },
    'statistics alias of x': { mean: 1.5 },
    'statistics logits': { mean: 3.5 },
    lens: [{ top: [0.1, 1 / 3] }],
    strange: [{ float: 'NaN' }, { float: '-Infinity' }, { float: '-0' }, 0],
  },
};

const METADATA = {
  format: 'pt',
  hyaline_recording: '1',
  adapter: 'an adapter',
  link: linkOf(STATE),
  model: JSON.stringify({ config: { nLayers: 1, nHeads: 1, dVocabOut: 3 }, hooks: [], vocabulary: [null, 'a', ' b'] }),
  before: JSON.stringify(RUN),
};

const file = (metadata: Record<string, string> = METADATA, tensors = TENSORS) => writeSafetensors(tensors, metadata);
const without = (key: string) => Object.fromEntries(Object.entries(METADATA).filter(([name]) => name !== key));

test('what was recorded comes back: state, tokens, values by their bits, analyses', async () => {
  const { state, runs, shown, adapter } = await openRecording(file(), 'a.safetensors');
  expect([state, adapter]).toEqual([STATE, 'an adapter']);
  const { before, after, second } = runs;
  expect([after, second]).toEqual([null, null]);
  expect([before?.ids, before?.tokens, before?.cache.names]).toEqual([
    RUN.ids,
    RUN.tokens,
    ['x', 'alias of x', 'logits'],
  ]);
  expect([...(before?.logits.data ?? [])]).toEqual([1, 2, 3, 4, 5, 6]);
  const x = await before?.cache.get('alias of x').read();
  expect(x?.axes).toEqual(['batch', 'pos', 'd_model']);
  expect([...new Uint32Array(x?.data.buffer ?? new ArrayBuffer(0))]).toEqual([
    0x80000000,
    NAN_WITH_PAYLOAD,
    0xff800000,
    1,
  ]);
  expect(shown.tokenizer?.tokenText(2)).toBe(' b');
  for (const id of [0, 3]) expect(() => shown.tokenizer?.tokenText(id)).toThrow(`there is no token ${id}`);
  expect(await before?.analysis('lens', () => Promise.reject())).toEqual([{ top: [0.1, 1 / 3] }]);
  const strange = await before?.analysis('strange', () => Promise.reject());
  expect(strange).toStrictEqual([Number.NaN, Number.NEGATIVE_INFINITY, -0, 0]);
  expect(await before?.statistics('x')).toEqual({ mean: 1.5 });
});

test('recorded again it is the same file, in which the same bits stand once', async () => {
  const opened = await openRecording(file(), 'a.safetensors');
  const bytes = await recordSession({
    ...opened,
    shownState: opened.state,
    adapterText: 'no adapter',
    recording: opened,
  });
  expect(Buffer.from(bytes).equals(Buffer.from(file()))).toBe(true);
  expect((await SafetensorsFile.open(bytes, 'b')).names).toEqual(['before/x', 'before/logits']);
});

test('what a recording does not hold is said', async () => {
  const { before } = (await openRecording(file(), 'a.safetensors')).runs;
  expect(before?.offers('patching')).toBe(false);
  await expect(before?.analysis('patching', async () => 1)).rejects.toThrow(
    'Not in this recording. Where there is WebGPU it is computed from a run.',
  );
  expect(() => before?.cache.get('y')).toThrow('This recording holds no value "y".');
});

test.each([
  [
    'no recording',
    without('hyaline_recording'),
    'is a safetensors file, but no recorded session; a model is opened with its config.json.',
  ],
  ['another version', { ...METADATA, hyaline_recording: '2' }, 'has version 2; this page reads 1.'],
  ['no run', without('before'), 'holds no run.'],
  ['no model', without('model'), 'its model is not JSON.'],
  ['a broken run', { ...METADATA, before: '{' }, 'its before is not JSON.'],
  [
    'axes that do not fit',
    {
      ...METADATA,
      before: JSON.stringify({ ...RUN, values: [{ name: 'logits', axes: ['pos'], tensor: 'before/logits' }] }),
    },
    'logits: expected float32 with axes pos.',
  ],
  ['no logits', { ...METADATA, before: JSON.stringify({ ...RUN, values: [] }) }, 'the run "before" has no logits.'],
])('%s is refused', async (_, metadata, message) => {
  await expect(openRecording(file(metadata), 'a.safetensors')).rejects.toThrow(message);
});

test('a state that cannot be is the first one', async () => {
  const { state } = await openRecording(file({ ...METADATA, link: '#view=nowhere&prompt=a' }), 'a.safetensors');
  expect(state).toEqual({ ...DEFAULT_STATE, prompt: 'a' });
});
