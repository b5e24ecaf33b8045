// Loading as a page does it: URLs, relative ones too, files that are not there, picked files, an abort. In Chrome, since
// streams, headers and errors are the browser's.

import { expect, test } from 'vitest';
import { openCheckpoint } from '../../src/engine/checkpoint.ts';
import type { LoadProgress } from '../../src/engine/source.ts';
import { createTokenizer } from '../../src/engine/tokenizer.ts';
import { loadWeights, parseConfig } from '../architectures.ts';
import { fixtureUrl, readFixture } from '../fixtures.ts';

test('a folder’s URL: weights, tokenizer, progress to the end', async () => {
  const events: LoadProgress[] = [];
  const checkpoint = await openCheckpoint(fixtureUrl('models/circuit-zoo'), {
    onProgress: (event) => events.push(event),
  });
  const { warnings, weights, sizeBytes } = loadWeights(parseConfig(checkpoint.config), checkpoint);
  expect(warnings).toEqual([]);
  let total = 0;
  for await (const { data } of weights()) total += data.byteLength;
  expect(total).toBe(sizeBytes);
  const { size, ...last } = {
    size: (await readFixture('models/circuit-zoo/model.safetensors')).length,
    ...events.at(-1),
  };
  expect(last).toEqual({ phase: 'download', file: 'model.safetensors', loaded: size, total: size });

  const { tokenizerJson, tokenizerConfig } = checkpoint.tokenizer ?? { tokenizerJson: {}, tokenizerConfig: {} };
  const tokenizer = await createTokenizer(tokenizerJson, tokenizerConfig);
  expect(tokenizer.textToTokens('The capital of France is')).toEqual([0, 407, 440, 337, 1146, 371]);
});

test('a URL relative to the page, and a model without a tokenizer', async () => {
  const { pathname } = new URL(fixtureUrl('models/modular-addition'));
  const up = '../'.repeat(document.baseURI.split('/').length);
  const checkpoint = await openCheckpoint(`${up}${pathname.slice(1)}`);
  expect(checkpoint.tokenizer).toBe(null);
  expect(checkpoint.tensors.size).toBe(11);
  expect(checkpoint.description).toBe(`${location.origin}${pathname}/`);
  await checkpoint.close();
});

test('a folder that is not there says so', async () => {
  const url = fixtureUrl('models/nowhere');
  await expect(openCheckpoint(url)).rejects.toThrow(
    `checkpoint: ${url}/: expected a folder with config.json and model.safetensors, got no config.json`,
  );
});

test('a server that is not there says what to check', async () => {
  await expect(openCheckpoint('http://127.0.0.1:9/')).rejects.toThrow(
    /^source: http:\/\/127\.0\.0\.1:9\/config\.json: expected an answer, got none \(.+\)\. Is the server up, and does it allow requests from this page \(CORS\)\?$/,
  );
});

test('picked files', async () => {
  const names = ['config.json', 'model.safetensors'];
  const files = names.map(async (name) => new File([await readFixture(`models/modular-addition/${name}`)], name));
  const checkpoint = await openCheckpoint(await Promise.all(files));
  expect(checkpoint.description).toBe('2 picked files');
  for await (const { data } of checkpoint.read(new Set(['unembed.W_U']))) expect(data.length).toBe(128 * 113);
});

test('an abort in the middle throws the signal’s reason', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const onProgress = ({ file }: LoadProgress) => {
    if (file === 'model.safetensors') controller.abort(reason);
  };
  const reading = async () => {
    const checkpoint = await openCheckpoint(fixtureUrl('models/circuit-zoo'), {
      onProgress,
      signal: controller.signal,
    });
    for await (const _ of checkpoint.read(new Set(checkpoint.tensors.keys())));
  };
  await expect(reading()).rejects.toBe(reason);
});
