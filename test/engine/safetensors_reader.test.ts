import { expect, test } from 'vitest';
import { type ByteSource, readSafetensors, SafetensorsFile, writeSafetensors } from '../../src/index.ts';

const bytes = writeSafetensors([
  { name: 'a', dtype: 'F32', shape: [2, 1], data: Float32Array.of(1.5, Number.NEGATIVE_INFINITY) },
  { name: 'b', dtype: 'F32', shape: [], data: Float32Array.of(-2) },
]);

test('a tensor is read as it was written', () => {
  expect(readSafetensors(bytes, 'a', 'f')).toEqual({ shape: [2, 1], data: Float32Array.of(1.5, -Infinity) });
  expect(readSafetensors(bytes, 'b', 'f')).toEqual({ shape: [], data: Float32Array.of(-2) });
});

test('a tensor that is not there, or holds no floats, is named', () => {
  expect(() => readSafetensors(bytes, 'c', 'f')).toThrow('safetensors: f: no tensor "c". It has a, b.');
  const header = '{"i":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}';
  const file = new Uint8Array(8 + header.length + 4);
  new DataView(file.buffer).setUint32(0, header.length, true);
  file.set(new TextEncoder().encode(header), 8);
  expect(() => readSafetensors(file, 'i', 'f')).toThrow(
    'safetensors: f: i: expected one of F32, F16, BF16, F64, got I32.',
  );
});

/** In memory, with a note of what was read. */
function noted(content: Uint8Array<ArrayBuffer>): ByteSource & { readonly reads: [number, number][] } {
  const reads: [number, number][] = [];
  const read = async (begin: number, end: number) => {
    reads.push([begin, end]);
    return content.slice(begin, end);
  };
  return { sizeBytes: content.length, read, reads };
}

test('of a file that is read in parts only the header and what is asked for is read', async () => {
  const mixed = writeSafetensors(
    [
      { name: 'z', dtype: 'F64', shape: [1], data: Float64Array.of(0.1) },
      { name: 'i', dtype: 'I32', shape: [2], data: Int32Array.of(7, -7) },
    ],
    { format: 'pt' },
  );
  const dataStart = mixed.length - 16;
  const source = noted(mixed);
  const file = await SafetensorsFile.open(source, 'f');
  expect(file.names).toEqual(['z', 'i']);
  expect(file.metadata).toEqual({ format: 'pt' });
  const { name, dtype, shape, readBytes } = file.get('i');
  expect({ name, dtype, shape }).toEqual({ name: 'i', dtype: 'I32', shape: [2] });
  expect(source.reads).toEqual([
    [0, 8],
    [0, dataStart],
  ]);
  expect(await readBytes()).toEqual(new Uint8Array(Int32Array.of(7, -7).buffer));
  expect(source.reads.slice(2)).toEqual([[dataStart + 8, dataStart + 16]]);
  const whole = await SafetensorsFile.open(mixed, 'f');
  expect(await whole.get('z').readBytes()).toEqual(new Uint8Array(Float64Array.of(0.1).buffer));
  expect(() => file.get('c')).toThrow('safetensors: f: no tensor "c". It has z, i.');
});

test.each([0, 7, 8, 30])('a file of which only %d bytes are there is refused', async (size) => {
  await expect(SafetensorsFile.open(bytes.slice(0, size), 'f')).rejects.toThrow(
    /^safetensors: f: expected .*\. Is the download complete\?$/,
  );
});

test('a file that shrinks while it is read is named', async () => {
  const source = noted(bytes);
  const file = await SafetensorsFile.open(source, 'f');
  const tensor = file.get('b');
  source.read = async (begin, end) => bytes.slice(begin, end - 1);
  await expect(tensor.readBytes()).rejects.toThrow(
    `safetensors: f: expected 4 bytes from byte ${bytes.length - 4} on, got 3. Has the file changed?`,
  );
});
