// Comparing values by name and element by element, on numbers whose differences are written out here.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compare, fromBits, SafetensorsFile, ulpDistance, writeSafetensors } from '../../src/index.ts';

const { NaN: NAN, POSITIVE_INFINITY: INFINITE } = Number;

const tensor = (name: string, shape: readonly number[], ...data: number[]) => ({
  name,
  shape,
  data: Float32Array.from(data),
});

/** The comparison of two lists of numbers under one name. */
async function compareNumbers(a: readonly number[] | Float32Array, b: readonly number[] | Float32Array) {
  const side = (data: readonly number[] | Float32Array) => [
    { name: 'x', shape: [data.length], data: data instanceof Float32Array ? data : Float32Array.from(data) },
  ];
  const { values } = await compare(side(a), side(b));
  return values[0];
}

describe('elements', () => {
  test('that differ are counted, the first is shown with its bits, and distances are largest, middle and absolute', async () => {
    // 1 and its second neighbour, −0 and 0, 2 and 3 (2²² steps of 2⁻²²): 2, 0, 4194304 and 0 steps.
    const a = tensor('hook_embed', [1, 2, 2], 1, -0, 2, 7);
    const b = tensor('hook_embed', [1, 2, 2], 1 + 2 ** -22, 0, 3, 7);
    const { values, first, same } = await compare([a], [b]);
    expect(values).toEqual([
      {
        name: 'hook_embed',
        shapes: { a: [1, 2, 2], b: [1, 2, 2] },
        dtypes: { a: 'F32', b: 'F32' },
        axes: ['batch', 'pos', 'd_model'],
        same: false,
        problem: null,
        elements: 4,
        differing: 3,
        nanOnOneSide: 0,
        maxUlp: 4194304,
        medianUlp: 1, // of 0, 0, 2, 4194304
        maxAbs: 1,
        first: { index: [0, 0, 0], a: 1, b: 1 + 2 ** -22, aBits: '0x3f800000', bBits: '0x3f800002', ulp: 2 },
      },
    ]);
    expect(first).toBe(values[0]);
    expect(same).toBe(false);
  });

  test('are found along every axis', async () => {
    const shape = [2, 3, 4];
    for (let at = 0; at < 24; at++) {
      const b = tensor('x', shape, ...Array.from({ length: 24 }, (_, i) => (i === at ? 1 : 0)));
      const { values } = await compare([tensor('x', shape, ...new Float32Array(24))], [b]);
      expect(values[0].first?.index).toEqual([Math.floor(at / 12), Math.floor(at / 4) % 3, at % 4]);
      expect(values[0].differing).toBe(1);
    }
  });

  test('that are NaN or infinite on one side are far away, and never counted as near', async () => {
    const one = await compareNumbers([1, 2, 3], [1, NAN, 3]);
    expect(one).toMatchObject({ differing: 1, nanOnOneSide: 1, medianUlp: 0 });
    expect([one.maxUlp, one.maxAbs, one.first?.ulp]).toEqual([NAN, NAN, NAN]);
    const most = await compareNumbers([NAN, NAN, 3], [1, 2, 4]);
    expect([most.nanOnOneSide, most.maxUlp, most.medianUlp, most.maxAbs]).toEqual([2, NAN, NAN, NAN]);
    expect(await compareNumbers([INFINITE, 1], [1, 1])).toMatchObject({ nanOnOneSide: 0, maxAbs: INFINITE });
  });

  test('with the same bits are the same, NaN and masked scores too; other NaN are not', async () => {
    const nan = (bits: number) => new Float32Array(Uint32Array.of(bits, 0xff800000).buffer);
    const same = await compareNumbers(nan(0x7fc00001), nan(0x7fc00001));
    expect(same).toMatchObject({ same: true, differing: 0, maxUlp: 0, medianUlp: 0, maxAbs: 0, first: null });
    const other = await compareNumbers(nan(0x7fc00001), nan(0xffc00000));
    expect(other).toMatchObject({ same: false, differing: 1, nanOnOneSide: 0 });
    expect(other.first).toMatchObject({ aBits: '0x7fc00001', bBits: '0xffc00000' });
    expect(other.maxUlp).toBe(NAN);
  });

  test('of any numbers have the distances that sorting them all gives', async () => {
    const bits = fc.integer({ min: 0, max: 0xffffffff });
    const pairs = fc.array(
      fc.tuple(bits, fc.option(bits, { nil: null })).map(([x, y]) => [x, y ?? x]),
      { minLength: 1, maxLength: 9 },
    );
    await fc.assert(
      fc.asyncProperty(pairs, async (list) => {
        const [a, b] = [0, 1].map((side) => new Float32Array(Uint32Array.from(list, (pair) => pair[side]).buffer));
        const got = await compareNumbers(a, b);
        const sorted = list
          .map(([x, y]) => (x === y ? 0 : ulpDistance(fromBits(x), fromBits(y))))
          .sort((x, y) => (Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : x - y));
        const middle = (sorted.length - 1) / 2;
        expect(got.differing).toBe(list.filter(([x, y]) => x !== y).length);
        expect(got.maxUlp).toBe(sorted.at(-1));
        expect(got.medianUlp).toBe((sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2);
      }),
    );
  });

  test('may be none, or one without an axis', async () => {
    expect(await compareNumbers([], [])).toMatchObject({ same: true, elements: 0, maxUlp: 0, medianUlp: 0 });
    const { first } = await compare([tensor('loss', [], 1)], [tensor('loss', [], 2)]);
    expect(first?.first?.index).toEqual([]);
  });
});

describe('values', () => {
  const names = ['hook_embed', 'blocks.2.hook_mlp_out', 'blocks.10.hook_mlp_out', 'logits', 'loss', 'a'];
  const side = (...changed: string[]) => names.map((name) => tensor(name, [1], changed.includes(name) ? 2 : 1));

  test('are compared in firing order, and the first that differs is the first that fires', async () => {
    const sorted = side('blocks.10.hook_mlp_out', 'a', 'blocks.2.hook_mlp_out').toSorted((x, y) =>
      x.name < y.name ? -1 : 1,
    );
    const { values, first, same } = await compare(side(), new Map(sorted.map((value) => [value.name, value])));
    expect(values.map(({ name }) => name)).toEqual(names);
    expect(values.filter((value) => !value.same).map(({ name }) => name)).toEqual([names[1], names[2], 'a']);
    expect(first?.name).toBe('blocks.2.hook_mlp_out');
    expect(same).toBe(false);
  });

  test('that are the same on both sides are the same, and a missing one is not', async () => {
    expect(await compare(side(), side())).toMatchObject({ same: true, first: null, onlyInA: [], onlyInB: [] });
    const [embed, ...rest] = side();
    const less = await compare(rest, [embed, ...side().slice(1, 4)]);
    expect(less).toMatchObject({ same: false, first: null, onlyInA: ['loss', 'a'], onlyInB: ['hook_embed'] });
    expect(less.values.length).toBe(3);
    expect(await compare([], [])).toMatchObject({ same: false, first: null, values: [] }); // nothing was compared
  });

  test('are chosen by names and globs; what means nothing is an error', async () => {
    const chosen = await compare(side('hook_embed'), side(), { names: ['blocks.*', 'loss'] });
    expect(chosen.values.map(({ name }) => name)).toEqual([names[1], names[2], 'loss']);
    expect(chosen.same).toBe(true);
    await expect(compare(side(), side(), { names: 'hook_embe' })).rejects.toThrow(
      'compare: no value "hook_embe" on either side; did you mean "hook_embed"?',
    );
    await expect(compare([], [], { names: 'blocks.*' })).rejects.toThrow(
      'compare: no value matches "blocks.*" on either side, which are empty.',
    );
  });

  test('of other shapes are named, and a batch axis that is missing with them', async () => {
    const [a, b] = [tensor('hook_embed', [1, 2, 1], 1, 2), tensor('hook_embed', [2, 1], 1, 2)];
    const withAxis = await compare([a], [b]);
    expect(withAxis).toMatchObject({ same: false, onlyInA: [], onlyInB: [] });
    expect(withAxis.first).toMatchObject({
      name: 'hook_embed',
      same: false,
      problem: '[1, 2, 1] is not the shape [2, 1]: b has no batch axis',
      differing: 0,
      first: null,
    });
    expect(withAxis.first?.maxUlp).toBe(NAN);
    expect((await compare([b], [a])).first?.problem).toBe('[2, 1] is not the shape [1, 2, 1]: a has no batch axis');
    const other = await compare([a], [tensor('hook_embed', [2, 1, 1], 1, 2)]);
    expect(other.first?.problem).toBe('[1, 2, 1] is not the shape [2, 1, 1]');
  });

  test('that are no tensors are refused with their side', async () => {
    await expect(compare(side(), [{ ...side()[0], shape: [2] }])).rejects.toThrow(
      'compare: b: hook_embed: expected 2 elements for [2], got 1.',
    );
    await expect(compare([side()[0], side()[0]], side())).rejects.toThrow(
      'compare: a: "hook_embed" stands there twice.',
    );
  });
});

describe('dtypes', () => {
  const open = (bytes: Uint8Array<ArrayBuffer>) => SafetensorsFile.open(bytes, 'f');

  test('of halves are compared by their own bits, and with float32 as float32', async () => {
    const halves = await open(
      writeSafetensors([{ name: 'x', dtype: 'F16', shape: [3], data: Uint16Array.of(0x3c00, 0x3c01, 0x7e00) }]),
    );
    const others = await open(
      writeSafetensors([{ name: 'x', dtype: 'F16', shape: [3], data: Uint16Array.of(0x3c00, 0x3c00, 0x7e00) }]),
    );
    const { first } = await compare(halves, others);
    // A step of a half at 1 is 2⁻¹⁰, which is 2¹³ steps of float32.
    expect(first).toMatchObject({ dtypes: { a: 'F16', b: 'F16' }, differing: 1, maxUlp: 8192, maxAbs: 2 ** -10 });
    expect(first?.first).toMatchObject({ index: [1], a: 1 + 2 ** -10, b: 1, aBits: '0x3c01', bBits: '0x3c00' });

    const same = await compare(halves, [tensor('x', [3], 1, 1 + 2 ** -10, NAN)]);
    expect(same).toMatchObject({ same: false, first: null }); // the same numbers, but not the same dtype
    expect(same.values[0]).toMatchObject({ dtypes: { a: 'F16', b: 'F32' }, same: false, differing: 0, maxUlp: 0 });
    const bf16 = await open(
      writeSafetensors([{ name: 'x', dtype: 'BF16', shape: [3], data: Uint16Array.of(0x3f80, 0x3f81, 0x7fc0) }]),
    );
    expect((await compare(bf16, halves)).first?.first).toMatchObject({
      index: [1],
      aBits: '0x3f810000',
      bBits: '0x3f802000',
      ulp: 0x10000 - 0x2000,
    });
  });

  test('of float64 are compared by all their bits, and with float32 once rounded', async () => {
    const double = (...data: number[]) => [{ name: 'x', shape: [data.length], data: Float64Array.from(data) }];
    const { first } = await compare(double(1, 0.1), double(1, 0.1 + 2 ** -56));
    // Both round to the same float32.
    expect(first).toMatchObject({ differing: 1, maxUlp: 0, maxAbs: 2 ** -56 });
    expect(first?.first).toMatchObject({ index: [1], a: 0.1, b: 0.1 + 2 ** -56, aBits: '0x3fb999999999999a' });
    const rounded = await compare(double(1, 0.1), [tensor('x', [2], 1, 0.1)]);
    expect(rounded).toMatchObject({ same: false, first: null });
    const apart = await compare([tensor('x', [2], 1, 0.1)], double(1 + 2 ** -23, 0.1));
    expect(apart.first).toMatchObject({ dtypes: { a: 'F32', b: 'F64' }, differing: 1, maxUlp: 1, maxAbs: 2 ** -23 });
  });

  test('of integers are compared by bits, and not with floats', async () => {
    const tokens = async (...ids: bigint[]) =>
      open(writeSafetensors([{ name: 'tokens', dtype: 'I64', shape: [2], data: BigInt64Array.from(ids) }]));
    const { first } = await compare(await tokens(3n, -4n), await tokens(3n, 5n));
    expect(first).toMatchObject({ differing: 1, maxAbs: 9, problem: null });
    expect(first?.first).toMatchObject({ index: [1], a: -4, b: 5, aBits: '0xfffffffffffffffc', ulp: NAN });
    expect(first?.maxUlp).toBe(NAN);
    expect(await compare(await tokens(1n, 2n), await tokens(1n, 2n))).toMatchObject({ same: true });
    const mixed = await compare(await tokens(1n, 2n), [tensor('tokens', [2], 1, 2)]);
    expect(mixed.first?.problem).toBe('I64 cannot be compared with F32');
  });

  test('that are not read are named', async () => {
    const header = '{"x":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}';
    const bytes = new Uint8Array(8 + header.length + 1);
    bytes[0] = header.length;
    bytes.set(new TextEncoder().encode(header), 8);
    const { first, same } = await compare(await open(bytes), await open(bytes));
    expect([first?.problem, same]).toEqual(['F8_E4M3 is not read', false]);
  });
});
