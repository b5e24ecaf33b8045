// Tensors of a file as its bytes come: in pieces of any size, in file order, and without more of the file in memory than is needed.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/engine/checkpoint.ts';
import { writeSafetensors } from '../../src/engine/safetensors_writer.ts';
import type { LoadProgress, OpenedFile, Source } from '../../src/engine/source.ts';
import { TensorStream } from '../../src/engine/tensor_stream.ts';

/** A file whose pieces end at these places; counts what has been given, and whether it has been closed. */
function openedFile(bytes: Uint8Array, ends: readonly number[] = [], sizeBytes: number | null = bytes.length) {
  const state = { given: 0, isClosed: false };
  const pieces = async function* () {
    const shared = new Uint8Array(bytes.length); // overwritten by the next piece, as the contract allows
    try {
      for (const end of [...ends.filter((end) => end < bytes.length), bytes.length]) {
        if (end <= state.given) continue;
        const piece = shared.subarray(0, end - state.given);
        piece.set(bytes.subarray(state.given, end));
        state.given = end;
        yield piece;
        shared.fill(0xee);
      }
    } finally {
      state.isClosed = true;
    }
  };
  const opened: OpenedFile = { description: 'file', sizeBytes, chunks: pieces() };
  return { opened, state };
}

const FILE = writeSafetensors([
  { name: 'z', dtype: 'F32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
  { name: 'half', dtype: 'F16', shape: [3], data: Uint16Array.of(0x3c00, 0xc000, 0x0001) },
  { name: 'mask', dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) },
  { name: 'brain', dtype: 'BF16', shape: [1], data: Uint16Array.of(0x4040) },
  { name: 'double', dtype: 'F64', shape: [1], data: Float64Array.of(0.1) },
  { name: 'none', dtype: 'F32', shape: [0], data: new Float32Array(0) },
  { name: 'a', dtype: 'F32', shape: [1], data: Float32Array.of(7) },
]);
const FLOATS = {
  z: [1, 2, 3, 4, 5, 6],
  half: [1, -2, 2 ** -24],
  brain: [3],
  double: [Math.fround(0.1)],
  none: [],
  a: [7],
};

async function readAll(stream: TensorStream, isWanted = (name: string) => name !== 'mask') {
  const found: [string, number[]][] = [];
  for await (const { name, data } of stream.tensors(isWanted)) found.push([name, [...data]]);
  return found;
}

test('tensors have their numbers wherever pieces end', async () => {
  const ends = fc.uniqueArray(fc.integer({ min: 1, max: FILE.length - 1 }), { maxLength: 40 });
  const cut = async (places: number[]) => {
    const { opened, state } = openedFile(
      FILE,
      places.toSorted((a, b) => a - b),
    );
    const stream = await TensorStream.open(opened, 'f', {});
    expect(Object.fromEntries(await readAll(stream))).toEqual(FLOATS);
    expect(state).toEqual({ given: FILE.length, isClosed: true });
  };
  await fc.assert(fc.asyncProperty(ends, cut));
  await cut(Array.from({ length: FILE.length - 1 }, (_, i) => i + 1));
});

test('they come in the order of the file, and those that nobody wants are passed over', async () => {
  const stream = await TensorStream.open(openedFile(FILE).opened, 'f', {});
  const inFile = stream.entries.toSorted((x, y) => x.begin - y.begin || x.end - y.end).map(({ name }) => name);
  const found = await readAll(stream, (name) => name === 'a' || name === 'half' || name === 'z');
  expect(found.map(([name]) => name)).toEqual(inFile.filter((name) => 'a half z'.split(' ').includes(name)));
});

test('progress never goes back, and ends at the total', async () => {
  for (const size of [FILE.length, null, 10]) {
    const seen: LoadProgress[] = [];
    const { opened } = openedFile(FILE, [9, 100, 700], size); // 10: that of a compressed body
    await readAll(await TensorStream.open(opened, 'f', { onProgress: (progress) => seen.push(progress) }));
    expect(seen.map(({ loaded }) => loaded)).toEqual(seen.map(({ loaded }) => loaded).toSorted((a, b) => a - b));
    expect(seen.at(-1)).toEqual({ phase: 'download', file: 'f', loaded: FILE.length, total: FILE.length });
    expect(seen.filter(({ loaded, total }) => loaded === total).length).toBe(1);
  }
});

describe('what is wrong with a file', () => {
  const header = 8 + Number(new DataView(FILE.buffer, FILE.byteOffset).getBigUint64(0, true));
  test.each([
    ['it is empty', FILE.subarray(0, 0), 'safetensors: f: expected at least 8 bytes, got 0. Is the download complete?'],
    ['it ends in the length', FILE.subarray(0, 5), 'safetensors: f: expected at least 8 bytes, got 5.'],
    [
      'it ends in the header',
      FILE.subarray(0, 50),
      `expected a header of ${header - 8} bytes, got a file of 50 bytes.`,
    ],
    ['it ends in a tensor', FILE.subarray(0, header + 10), `expected ${FILE.length} bytes, got ${header + 10}. Is the`],
    ['it lacks a byte', FILE.subarray(0, FILE.length - 1), `expected ${FILE.length} bytes, got ${FILE.length - 1}. Is`],
    ['it has one more', Uint8Array.of(...FILE, 0), `expected ${FILE.length} bytes, got ${FILE.length + 1}.`],
  ])('%s', async (_, bytes, message) => {
    const { opened, state } = openedFile(bytes, [9, 60]);
    const reading = TensorStream.open(opened, 'f', {}).then((stream) => readAll(stream));
    await expect(reading).rejects.toThrow(message);
    expect(state.isClosed).toBe(true);
  });

  test('a wanted tensor is not of floats', async () => {
    const stream = await TensorStream.open(openedFile(FILE).opened, 'f', {});
    await expect(readAll(stream, () => true)).rejects.toThrow('safetensors: expected one of F32, F16, BF16, F64');
  });

  test('an abort throws its reason and closes the file; so does whoever stops reading', async () => {
    const controller = new AbortController();
    const aborted = openedFile(FILE, [FILE.length - 3]);
    const stream = await TensorStream.open(aborted.opened, 'f', { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(readAll(stream)).rejects.toThrow('enough');
    const stopped = openedFile(FILE, [FILE.length - 3]);
    for await (const _ of (await TensorStream.open(stopped.opened, 'f', {})).tensors(() => true)) break;
    expect([aborted.state.isClosed, stopped.state.isClosed]).toEqual([true, true]);
  });
});

describe('a checkpoint of 24 tensors of 4 MB', () => {
  const TENSOR = 1 << 20; // numbers
  const CHUNK = 1 << 20; // bytes
  const names = Array.from({ length: 24 }, (_, i) => `t${i}`);
  const header = new TextEncoder().encode(
    JSON.stringify(
      Object.fromEntries(
        names.map((name, i) => [
          name,
          { dtype: 'F32', shape: [TENSOR], data_offsets: [4 * TENSOR * i, 4 * TENSOR * (i + 1)] },
        ]),
      ),
    ),
  );
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  const start = 8 + header.length;
  const total = start + names.length * 4 * TENSOR;

  /** Made as it is read: the file is never in memory. */
  function source(given: { bytes: number }): Source {
    const chunks = async function* () {
      for (const piece of [length, header]) {
        given.bytes += piece.length;
        yield piece;
      }
      const piece = new Uint8Array(CHUNK).fill(1);
      for (; given.bytes < total; ) {
        given.bytes += piece.length;
        yield piece;
      }
    };
    const config = new TextEncoder().encode('{}');
    return {
      description: 'made up',
      async open(file) {
        const ofConfig = async function* () {
          yield config;
        };
        if (file === 'config.json') return { description: file, sizeBytes: config.length, chunks: ofConfig() };
        return file === 'model.safetensors' ? { description: file, sizeBytes: total, chunks: chunks() } : null;
      },
    };
  }

  test('is read no further than the tensor that is asked for, and leaves one tensor in memory', async () => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const given = { bytes: 0 };
    const checkpoint = await openCheckpoint(source(given));
    expect(given.bytes).toBeLessThanOrEqual(start + CHUNK);
    collect();
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    let count = 0;
    for await (const { data } of checkpoint.read(new Set(names))) {
      expect(data[count]).toBe(new Float32Array(Uint8Array.of(1, 1, 1, 1).buffer)[0]);
      expect(given.bytes).toBeLessThanOrEqual(start + (count + 1) * 4 * TENSOR + CHUNK);
      collect();
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      count++;
    }
    expect(count).toBe(names.length);
    // The tensor, and the one before it at most; the whole file is 96 MB.
    expect(most).toBeGreaterThanOrEqual(4 * TENSOR);
    expect(most).toBeLessThanOrEqual(2 * 4 * TENSOR + 2 * CHUNK);
    await checkpoint.close();
  });
});
