import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Checkpoint, memoryCheckpoint, openCheckpoint } from '../../src/engine/checkpoint.ts';
import { writeSafetensors } from '../../src/engine/safetensors_writer.ts';
import type { LoadProgress, Source } from '../../src/engine/source.ts';
import { fixtureUrl, sharedExists } from '../fixtures.ts';

type Files = Record<string, Uint8Array | string | object>;

const toBytes = (content: Files[string]): Uint8Array => {
  if (content instanceof Uint8Array) return content;
  return new TextEncoder().encode(typeof content === 'string' ? content : JSON.stringify(content));
};

/** A source of these files that remembers what was asked for. */
function sourceOf(files: Files): Source & { opened: string[] } {
  const opened: string[] = [];
  return {
    description: 'here/',
    opened,
    async open(file) {
      opened.push(file);
      if (!Object.hasOwn(files, file)) return null;
      const bytes = toBytes(files[file]);
      const pieces = async function* () {
        yield bytes;
      };
      return { description: file, sizeBytes: bytes.length, chunks: pieces() };
    },
  };
}

/** These tensors' numbers, by name, in the order in which they come. */
async function read(checkpoint: Checkpoint, ...names: string[]): Promise<Record<string, Float32Array>> {
  const found: Record<string, Float32Array> = {};
  for await (const { name, data } of checkpoint.read(new Set(names))) found[name] = data;
  return found;
}

const tensor = (name: string, ...values: number[]) =>
  ({ name, dtype: 'F32', shape: [values.length], data: Float32Array.from(values) }) as const;

const shards: Files = {
  'config.json': { model_type: 'any' },
  'model.safetensors.index.json': { weight_map: { a: 'm-1.safetensors', b: 'm-2.safetensors', c: 'm-1.safetensors' } },
  'm-1.safetensors': writeSafetensors([tensor('a', 1, 2), tensor('c', 3)]),
  'm-2.safetensors': writeSafetensors([tensor('b', 4)]),
};

describe('a checkpoint in one file', () => {
  const files: Files = {
    'config.json': { model_type: 'any', n: 1 },
    'model.safetensors': writeSafetensors([
      tensor('a', 1, 2),
      { name: 'half', dtype: 'F16', shape: [1, 1], data: Uint16Array.of(0x3c00) },
      { name: 'mask', dtype: 'BOOL', shape: [0, 0], data: new Uint8Array(0) },
    ]),
  };

  test('gives its config and its tensors, decoded when they are read', async () => {
    const checkpoint = await openCheckpoint(sourceOf(files));
    expect(checkpoint.description).toBe('here/');
    expect(checkpoint.config).toEqual({ model_type: 'any', n: 1 });
    expect([...checkpoint.tensors.keys()]).toEqual(['a', 'half', 'mask']);
    expect(checkpoint.tensors.get('a')).toMatchObject({ dtype: 'F32', shape: [2] });
    expect(await read(checkpoint, 'a', 'half')).toEqual({ a: Float32Array.of(1, 2), half: Float32Array.of(1) });
    await expect(read(checkpoint, 'mask')).rejects.toThrow('got BOOL');
    expect(checkpoint.tokenizer).toBe(null);
  });

  test('is downloaded once, unless it is read twice; then it must be the same', async () => {
    const changing = { ...files };
    const source = sourceOf(changing);
    const checkpoint = await openCheckpoint(source);
    const weights = () => source.opened.filter((file) => file === 'model.safetensors').length;
    expect(await read(checkpoint, 'a')).toEqual({ a: Float32Array.of(1, 2) });
    expect(weights()).toBe(1);
    expect(await read(checkpoint, 'a')).toEqual({ a: Float32Array.of(1, 2) });
    expect(weights()).toBe(2);
    changing['model.safetensors'] = writeSafetensors([tensor('a', 1, 2, 3)]);
    await expect(read(checkpoint, 'a')).rejects.toThrow(
      'checkpoint: here/: model.safetensors has changed since its header was read. Load the model again.',
    );
  });

  test('cannot be read when it has been closed', async () => {
    const checkpoint = await openCheckpoint(sourceOf(files));
    await checkpoint.close();
    await expect(read(checkpoint, 'a')).rejects.toThrow(
      'checkpoint: here/: closed, so model.safetensors cannot be read any more',
    );
  });

  test('has a tokenizer where tokenizer.json is there, with its config or without', async () => {
    const withTokenizer = { ...files, 'tokenizer.json': { version: '1.0' } };
    expect((await openCheckpoint(sourceOf(withTokenizer))).tokenizer).toEqual({
      tokenizerJson: { version: '1.0' },
      tokenizerConfig: {},
    });
    const withBoth = { ...withTokenizer, 'tokenizer_config.json': { bos_token: '<s>' } };
    expect((await openCheckpoint(sourceOf(withBoth))).tokenizer?.tokenizerConfig).toEqual({ bos_token: '<s>' });
    const configOnly = { ...files, 'tokenizer_config.json': { bos_token: '<s>' } };
    expect((await openCheckpoint(sourceOf(configOnly))).tokenizer).toBe(null);
  });

  test('is not downloaded when the config is refused', async () => {
    const source = sourceOf(files);
    const checkConfig = () => {
      throw new Error('unsupported');
    };
    await expect(openCheckpoint(source, { checkConfig })).rejects.toThrow('unsupported');
    expect(source.opened).toEqual(['config.json']);
  });

  test.each<[string, Files, string]>([
    [
      'no config.json',
      { 'model.safetensors': files['model.safetensors'] },
      'checkpoint: here/: expected a folder with config.json and model.safetensors, got no config.json',
    ],
    [
      'no weights',
      { 'config.json': {} },
      'checkpoint: here/: expected model.safetensors or model.safetensors.index.json, got neither. ' +
        'PyTorch .bin files are not read: save the model with safe_serialization=True.',
    ],
    ['a config.json that is a list', { 'config.json': '[]' }, 'checkpoint: here/: config.json: expected a JSON object'],
    [
      'a header cut short',
      { ...files, 'model.safetensors': toBytes(files['model.safetensors']).subarray(0, 50) },
      `safetensors: model.safetensors: expected a header of ${toBytes(files['model.safetensors'])[0]} bytes, ` +
        'got a file of 50 bytes. Is the download complete?',
    ],
  ])('with %s is refused', async (_, given, message) => {
    await expect(openCheckpoint(sourceOf(given))).rejects.toThrow(new Error(message));
  });

  test('with a config.json that is no JSON says where it breaks', async () => {
    await expect(openCheckpoint(sourceOf({ 'config.json': '{"a": }' }))).rejects.toThrow(
      /^checkpoint: here\/: config\.json: expected JSON, got an error: Unexpected token/,
    );
  });
});

describe('a checkpoint in shards', () => {
  test('is one set of tensors: first the headers of all shards are read, then the shards that hold what is wanted', async () => {
    const source = sourceOf(shards);
    const checkpoint = await openCheckpoint(source);
    const opened = () => source.opened.filter((file) => file.startsWith('m-'));
    expect(opened()).toEqual(['m-1.safetensors', 'm-2.safetensors']);
    expect([...checkpoint.tensors.keys()].sort()).toEqual(['a', 'b', 'c']);
    expect(await read(checkpoint, 'b', 'c')).toEqual({ c: Float32Array.of(3), b: Float32Array.of(4) });
    expect(opened().slice(2)).toEqual(['m-1.safetensors', 'm-2.safetensors']);
    expect(await read(checkpoint, 'b')).toEqual({ b: Float32Array.of(4) });
    expect(opened().slice(4)).toEqual(['m-2.safetensors']);
  });

  test.each<[string, Files, string]>([
    [
      'a missing shard',
      { ...shards, 'model.safetensors.index.json': { weight_map: { a: 'm-3.safetensors' } } },
      'checkpoint: here/: model.safetensors.index.json names the shard m-3.safetensors, which is not there',
    ],
    [
      'tensors that are not where the index says, and in two shards',
      {
        ...shards,
        'model.safetensors.index.json': {
          weight_map: { a: 'm-2.safetensors', b: 'm-2.safetensors', c: 'm-1.safetensors', d: 'm-1.safetensors' },
        },
        'm-2.safetensors': writeSafetensors([tensor('b', 4), tensor('c', 5)]),
      },
      'checkpoint: here/: the shards are not what model.safetensors.index.json says:\n' +
        '- tensor "c" is in two shards, m-2.safetensors and m-1.safetensors\n' +
        '- tensor "a" should be in m-2.safetensors and is in m-1.safetensors\n' +
        '- tensor "d" should be in m-1.safetensors and is not',
    ],
    [
      'an index without a map',
      { ...shards, 'model.safetensors.index.json': { weights: {} } },
      'checkpoint: here/: model.safetensors.index.json: expected an object weight_map',
    ],
    [
      'an empty index',
      { ...shards, 'model.safetensors.index.json': { weight_map: {} } },
      'checkpoint: here/: model.safetensors.index.json: expected tensors in weight_map, got none',
    ],
    ...['../m-1.safetensors', '/m-1.safetensors', 'https://x/m.safetensors', '..\\m.safetensors', 'm.bin', 5].map(
      (file): [string, Files, string] => [
        `the shard ${file}`,
        { ...shards, 'model.safetensors.index.json': { weight_map: { a: file } } },
        'checkpoint: here/: model.safetensors.index.json: tensor "a": expected the name of a .safetensors file ' +
          `in the same folder, got ${JSON.stringify(file)}`,
      ],
    ),
  ])('with %s is refused', async (_, files, message) => {
    await expect(openCheckpoint(sourceOf(files))).rejects.toThrow(new Error(message));
  });
});

describe('over HTTP', () => {
  let server: Server;
  let base = '';
  let files: Files = {};
  let status = 404;
  beforeAll(async () => {
    server = createServer((request, response) => {
      const content = files[request.url?.slice(3) ?? ''];
      if (content === undefined) return void response.writeHead(status).end();
      const bytes = toBytes(content);
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, bytes.length >> 1));
      setTimeout(() => response.end(bytes.subarray(bytes.length >> 1)), 5);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m`;
  });
  beforeEach(() => {
    files = shards;
    status = 404;
  });
  afterAll(() => server.close());

  test('shards arrive with progress for each file', async () => {
    const events: LoadProgress[] = [];
    const checkpoint = await openCheckpoint(base, { onProgress: (event) => events.push(event) });
    expect(await read(checkpoint, 'a', 'b')).toEqual({ a: Float32Array.of(1, 2), b: Float32Array.of(4) });
    const complete = events.filter(({ loaded, total }) => loaded === total).map(({ file }) => file);
    expect(complete).toEqual(Object.keys(files));
  });

  test('a server error for a file that may be absent is an error, not an absent file', async () => {
    status = 503;
    await expect(openCheckpoint(base)).rejects.toThrow(
      `source: ${base}/tokenizer.json: expected HTTP status 200, got 503 Service Unavailable.`,
    );
  });

  test('an abort during the second shard throws the signal’s reason', async () => {
    const controller = new AbortController();
    const onProgress = ({ file, loaded }: LoadProgress) => {
      if (file === 'm-2.safetensors' && loaded > 0) controller.abort('enough');
    };
    const checkpoint = await openCheckpoint(base, { onProgress, signal: controller.signal });
    await expect(read(checkpoint, 'a', 'b')).rejects.toBe('enough');
  });
});

describe('tensors in memory', () => {
  test('are a checkpoint like any other', async () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    const checkpoint = memoryCheckpoint({ model_type: 'any' }, { a: { shape: [2, 3], data } });
    expect(checkpoint.config).toEqual({ model_type: 'any' });
    expect(checkpoint.tensors.get('a')).toMatchObject({ dtype: 'F32', shape: [2, 3] });
    expect((await read(checkpoint, 'a')).a).toBe(data);
    expect(checkpoint.tokenizer).toBe(null);
  });

  test('must have as many values as their shapes say, all wrong ones listed', () => {
    const data = new Float32Array(5);
    const doubles = new Float64Array(5) as unknown as Float32Array<ArrayBuffer>;
    expect(() => memoryCheckpoint({}, { a: { shape: [2, 3], data }, b: { shape: [5], data: doubles } })).toThrow(
      'checkpoint: tensors in memory: tensor "a": expected 6 values for [2, 3], got 5; tensor "b": expected a Float32Array',
    );
  });
});

describe('real folders', () => {
  test.each([
    ['models/circuit-zoo', true],
    ['models/modular-addition', false],
    ['test/goldens/gpt2', false],
    ['test/goldens/llama_gqa', false],
    ['test/goldens/relu_nonorm', false],
  ])('%s opens', async (path, hasTokenizer) => {
    const checkpoint = await openCheckpoint(fixtureUrl(path));
    expect(checkpoint.tokenizer !== null).toBe(hasTokenizer);
    expect(checkpoint.tensors.size).toBeGreaterThan(10);
    await checkpoint.close();
  });

  test.skipIf(!sharedExists).each([
    ['models/stories260K', true],
    ['models/capp-gpt2', false],
  ])('../shared/%s opens', async (path, hasTokenizer) => {
    const checkpoint = await openCheckpoint(fixtureUrl(`../shared/${path}`));
    expect(checkpoint.tokenizer !== null).toBe(hasTokenizer);
    expect(checkpoint.tensors.size).toBeGreaterThan(10);
    await checkpoint.close();
  });
});
