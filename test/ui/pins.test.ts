// Pinned numbers and the values that they are compared in: places, runs, and one position held against all.
import { expect, test } from 'vitest';
import { type ShownValue, shownTensor } from '../../src/elements/shown_value.ts';
import type { PageRun } from '../../src/ui/page_run.ts';
import { isSamePin, numberIn, pinOf, placeOf, runOfPin } from '../../src/ui/pins.ts';
import { elementOf, repeatedPosition, valueIn } from '../../src/ui/shown_values.ts';
import { createEdit, DEFAULT_STATE } from '../../src/ui/state.ts';

const AXES = ['batch', 'pos', 'd_model'];

/** A run that holds one value, [1, 3, 2], of the numbers from `first` on. */
function runOf(first: number): PageRun {
  const data = Float32Array.from({ length: 6 }, (_, i) => first + i);
  const get = (name: string): ShownValue => shownTensor({ name, data, shape: [1, 3, 2], axes: AXES });
  return { cache: { names: ['x'], tokens: null, has: (name: string) => name === 'x', get } } as unknown as PageRun;
}

test('an element is counted along every axis; one of length 1 may be left out', () => {
  const value = { shape: [1, 3, 2], axes: AXES };
  expect(elementOf(value, { pos: 2, d_model: 1 })).toBe(5);
  expect(elementOf(value, { pos: 2 })).toBe(null);
  expect(elementOf(value, { pos: 3, d_model: 1 })).toBe(null);
  expect(elementOf(value, { batch: 1, pos: 0, d_model: 1 })).toBe(null);
});

test('one position is held against all others', async () => {
  const value = valueIn(runOf(0), 'x');
  const repeated = repeatedPosition(value, 1);
  expect(await repeated?.read()).toMatchObject({
    data: Float32Array.of(2, 3, 2, 3, 2, 3),
    shape: [1, 3, 2],
    axes: AXES,
  });
  expect(repeatedPosition(value, 1)).toBe(repeated);
  expect(repeatedPosition(value, 3)).toBe(null);
  expect(repeatedPosition({ ...value, axes: ['a', 'b', 'c'] }, 0)).toBe(null);
});

test('a value is the same object each time', () => {
  const run = runOf(0);
  expect(valueIn(run, 'x')).toBe(valueIn(run, 'x'));
  expect(valueIn(run, 'x')).not.toBe(valueIn(runOf(0), 'x'));
});

test('a pinned number is found in the run of its prompt and changes, and nowhere else', async () => {
  const edit = createEdit('zero', 'x');
  const off = createEdit('scale', 'x', { isOn: false });
  const [before, after, second] = [runOf(0), runOf(10), runOf(20)];
  const runs = { before, after, second };
  const state = { ...DEFAULT_STATE, hook: 'x', prompt: 'a', second: 'b', edits: [edit, off] };
  const pin = pinOf(state, { pos: 1, d_model: 1 });
  expect(pin.edits).toEqual([edit]);
  expect(runOfPin(pin, state, runs)).toBe(after);
  expect(runOfPin({ ...pin, edits: [] }, state, runs)).toBe(before);
  expect(runOfPin({ ...pin, prompt: 'b', edits: [] }, state, runs)).toBe(second);
  expect(runOfPin({ ...pin, prompt: 'b' }, state, runs)).toBe(null);
  expect(runOfPin({ ...pin, prompt: 'c', edits: [] }, state, runs)).toBe(null);
  expect(runOfPin({ ...pin, model: 'another' }, state, runs)).toBe(null);
  expect(runOfPin({ ...pin, numerics: 'fast' }, state, runs)).toBe(null);
  // A patch takes numbers from the second prompt: with another one it is another number. Zero does not.
  const patched = { ...state, edits: [createEdit('patch', 'x')] };
  expect(runOfPin(pinOf(patched, pin.index), patched, runs)).toBe(after);
  expect(runOfPin(pinOf(patched, pin.index), { ...patched, second: 'c' }, runs)).toBe(null);
  expect(runOfPin(pin, { ...state, second: 'c' }, runs)).toBe(after);
  expect(await numberIn(after, pin)).toBe(13);
  await expect(numberIn(after, { hook: 'x', index: { pos: 9, d_model: 0 } })).rejects.toThrow('no such position');
  await expect(numberIn(after, { hook: 'y', index: {} })).rejects.toThrow('This run does not hold y.');
});

test('pins are the same where all they name is', () => {
  const pin = pinOf(DEFAULT_STATE, { pos: 1, d_model: 2 });
  expect(isSamePin(pin, { ...pin, index: { d_model: 2, pos: 1 } })).toBe(true);
  expect(isSamePin(pin, { ...pin, index: { d_model: 2, pos: 2 } })).toBe(false);
  expect(placeOf({ hook: 'x', index: { batch: 0, pos: 1, d_model: 2 } })).toBe('x [pos 1, d_model 2]');
});
