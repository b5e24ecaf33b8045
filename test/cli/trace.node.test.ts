// `hyaline trace`, run as a user runs it: what it prints, what it writes, how it fails.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { TraceReport } from '../../src/cli/trace.ts';
import { adapterFingerprint } from '../../src/engine/fingerprint.ts';
import { testDevice } from '../device.ts';
import { readJsonFixture } from '../fixtures.ts';
import { complaint, FAST, hyaline } from './spawn.ts';

const ZOO = 'models/circuit-zoo';
const PROMPT = 'When Mary and John went to the store, John gave a drink to';

const folder = mkdtempSync(join(tmpdir(), 'hyaline-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Golden {
  readonly prompts: readonly {
    readonly prompt: string;
    readonly ids: readonly number[];
    readonly top5: readonly { readonly id: number; readonly token: string; readonly p: number }[];
  }[];
}

async function goldenOf(prompt: string) {
  const { prompts } = await readJsonFixture<Golden>(`${ZOO}/golden.json`);
  const golden = prompts.find((candidate) => candidate.prompt === prompt);
  if (!golden) throw new Error(`golden.json has no prompt ${prompt}`);
  return golden;
}

/** A safetensors file of float32, read by nothing of ours. */
function readFloatTensors(path: string) {
  const bytes = readFileSync(path);
  const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(bytes.toString('utf8', 8, headerEnd));
  const tensors = new Map<string, { shape: number[]; at: (...index: number[]) => number }>();
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype, shape, data_offsets } = entry as { dtype: string; shape: number[]; data_offsets: [number, number] };
    expect([name, dtype]).toEqual([name, 'F32']);
    expect([name, data_offsets[1] - data_offsets[0]]).toEqual([name, 4 * shape.reduce((a, b) => a * b, 1)]);
    const at = (...index: number[]) =>
      bytes.readFloatLE(headerEnd + data_offsets[0] + 4 * index.reduce((flat, i, axis) => flat * shape[axis] + i, 0));
    tensors.set(name, { shape, at });
  }
  return { metadata, tensors };
}

test('--json holds the golden prediction and nothing else, and --out every value that it lists', async () => {
  const out = join(folder, 'trace.safetensors');
  const finished = await hyaline(['trace', ZOO, PROMPT, '--hooks', '*', '--out', out, '--json']);
  expect(finished.code).toBe(0);
  const report: TraceReport = JSON.parse(finished.stdout);
  expect(complaint(finished)).toBe(`hyaline: wrote ${report.values.length} values to ${out}`);

  const golden = await goldenOf(PROMPT);
  expect(report.tokens).toEqual([golden.ids]);
  expect(report.tokenTexts?.[0].slice(0, 3)).toEqual(['<|endoftext|>', 'When', ' Mary']);
  expect(report.top.length).toBe(1);
  expect(report.top[0].map(({ id, text }) => ({ id, token: text }))).toEqual(
    golden.top5.map(({ id, token }) => ({ id, token })),
  );
  report.top[0].forEach(({ probability }, i) => {
    expect(Math.abs(probability - golden.top5[i].p)).toBeLessThanOrEqual(1e-5);
  });
  expect(report.top[0][0].probability.toFixed(5)).toBe('0.99973');
  expect(report.model).toMatchObject({ source: ZOO, modelType: 'gpt2', nLayers: 4, dModel: 128, warnings: [] });
  expect(report.adapter).toMatch(/: (hardware|software fallback, runs on the CPU)$/);
  expect(report.fingerprint).toEqual(await adapterFingerprint(await testDevice())); // another process, the same adapter
  expect(report.timing.loadMs).toBeGreaterThan(0);

  const { metadata, tensors } = readFloatTensors(out);
  const { version } = await readJsonFixture<{ version: string }>('package.json');
  const { adapter } = report;
  expect(metadata).toEqual({
    format: 'pt',
    tokens: JSON.stringify([golden.ids]),
    model: ZOO,
    hyaline: version,
    adapter,
    numerics: 'reproducible',
    fingerprint: JSON.stringify(report.fingerprint),
  });
  expect([...tensors].map(([name, { shape }]) => ({ name, shape }))).toEqual(
    report.values.map(({ name, shape }) => ({ name, shape })),
  );
  expect(tensors.get('blocks.3.hook_resid_post')?.shape).toEqual([1, 15, 128]);
  const logits = tensors.get('logits')!;
  expect(logits.shape).toEqual([1, 15, 2048]);
  for (const { id, logit } of report.top[0]) expect(logits.at(0, 14, id)).toBe(logit);

  const scores = tensors.get('blocks.0.attn.hook_attn_scores')!;
  expect(scores.shape).toEqual([1, 4, 15, 15]);
  for (let head = 0; head < 4; head++) {
    for (let query = 0; query < 15; query++) {
      for (let key = 0; key < 15; key++) {
        const score = scores.at(0, head, query, key);
        if (key > query) expect(score).toBe(Number.NEGATIVE_INFINITY);
        else expect(Number.isFinite(score)).toBe(true);
      }
    }
  }
  const { stats } = report.values.find(({ name }) => name === 'blocks.0.attn.hook_attn_scores')!;
  // 4 heads; 15 queries see 1 + 2 + … + 15 = 120 keys and miss 105
  expect([stats.count, stats.maskedCount, stats.nanCount, stats.infiniteCount]).toEqual([480, 420, 0, 0]);
});

test('the tables say the adapter, the tokens, the prediction and the captured values', async () => {
  const { code, stdout } = await hyaline([
    ...['trace', ZOO, PROMPT, '--hooks', 'blocks.0.attn.hook_attn_scores', '--hooks', 'hook_embed', ...FAST],
  ]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^adapter {2}.+: (hardware|software fallback, runs on the CPU)$/m);
  expect(stdout).toMatch(/^model {4}models\/circuit-zoo \(gpt2, 4 layers, d_model 128, 4 heads of 32, /m);
  expect(stdout).toContain('15 tokens: "<|endoftext|>" "When" " Mary" " and" " John"');
  expect(stdout).toMatch(/^next {2}token +probability +logit\n +747 {2}" Mary" +0\.99972\d +19\.68\d\d$/m);
  expect(stdout).toMatch(/^value +shape +mean +std +min +max +norm$/m);
  expect(stdout).toMatch(/^blocks\.0\.attn\.hook_attn_scores +\[1, 4, 15, 15\] .* {2}420 masked$/m);
  expect(stdout.match(/^\S+(?= +\[1, )/gm)).toEqual(['hook_embed', 'blocks.0.attn.hook_attn_scores', 'logits']);
});

test('--tokens runs rows of ids on a model without a tokenizer', async () => {
  const { code, stdout } = await hyaline([
    'trace',
    'models/modular-addition',
    '--tokens',
    '5,7,113; 112,112,113',
    ...FAST,
  ]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^row 0, 3 tokens: 5 7 113\nnext {2}probability +logit\n +12 +1\.000000/m); // 5 + 7
  expect(stdout).toMatch(/^row 1, 3 tokens: 112 112 113\nnext {2}probability +logit\n +111 +1\.000000/m); // 224 − 113
});

test('--digest hashes the bytes that --out writes; without --hooks it covers every value', async () => {
  const out = join(folder, 'digest.safetensors');
  const run = ['trace', 'models/modular-addition', '--tokens', '5,7,113', '--digest', ...FAST];
  const { code, stdout } = await hyaline([...run, '--hooks', '*', '--json', '--out', out]);
  expect(code).toBe(0);
  const { digest, values }: TraceReport = JSON.parse(stdout);
  const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
  const bytes = readFileSync(out);
  const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__, ...entries } = JSON.parse(bytes.toString('utf8', 8, headerEnd));
  const lines = values.map(({ name, shape }) => {
    const [begin, end] = entries[name].data_offsets;
    return { name, shape, sha256: sha256(bytes.subarray(headerEnd + begin, headerEnd + end)) };
  });
  expect(digest?.values).toEqual(lines);
  expect(digest?.total).toBe(
    sha256(lines.map((line) => `${line.name} [${line.shape.join(', ')}] ${line.sha256}\n`).join('')),
  );

  const text = await hyaline(run);
  const [statistics, digests] = text.stdout.split('SHA-256\n');
  expect(statistics.match(/^\S+(?= +\[1, )/gm)).toEqual(['logits']);
  const table = digests.trimEnd().split('\n');
  expect(table.map((line) => line.split(/ {2,}/))).toEqual([
    ...lines.map((line) => [line.name, `[${line.shape.join(', ')}]`, line.sha256]),
    [`all ${lines.length} values`, digest?.total],
  ]);
  expect(new Set(table.map((line) => line.length)).size).toBe(1); // aligned
});

test('edits apply in the order of the command line, and values can come from a file of another run', async () => {
  const out = join(folder, 'clean.safetensors');
  const swapped = PROMPT.replace('John gave', 'Mary gave');
  const clean = await hyaline(['trace', ZOO, PROMPT, '--hooks', 'blocks.2.attn.hook_z', '--out', out, '--json']);
  expect(clean.code).toBe(0);
  const z = 'blocks.2.attn.hook_z';
  const hooks = ['--hooks', z, '--json'];
  // The whole value is zeroed, the last position set to the other run's and two of its heads doubled.
  const edits = ['--zero', z, '--patch-from', `${out}:${z}:pos=-1`, '--scale', `${z}=2:pos=-1,head=1..3`];
  const finished = await hyaline([
    'trace',
    ZOO,
    swapped,
    ...edits,
    ...hooks,
    '--out',
    join(folder, 'edited.safetensors'),
  ]);
  expect(complaint(finished)).toMatch(/^hyaline: wrote 2 values to /);
  const report: TraceReport = JSON.parse(finished.stdout);
  expect(report.interventions).toEqual([`--zero ${z}`, edits.slice(2, 4).join(' '), edits.slice(4).join(' ')]);
  const [want, got] = ['clean', 'edited'].map((name) => readFloatTensors(join(folder, `${name}.safetensors`)));
  expect(got.metadata.interventions).toBe(edits.join(' '));
  const [wanted, gotten] = [want, got].map(({ tensors }) => tensors.get(z)!);
  for (let head = 0; head < 4; head++) {
    const factor = head === 1 || head === 2 ? 2 : 1;
    for (let d = 0; d < 32; d++) {
      expect(gotten.at(0, 13, head, d)).toBe(0);
      expect(gotten.at(0, 14, head, d)).toBe(factor * wanted.at(0, 14, head, d));
    }
  }

  const other = await hyaline(['trace', ZOO, 'The capital of', '--patch-from', `${out}:${z}:pos=1`, ...FAST]);
  expect(complaint(other)).toBe(
    `hyaline: patch-from: ${out}: ${z} is [1, 15, 4, 32]; expected [1, 4, 4, 32], the value (batch, pos, head_index, d_head), or [1, 1, 4, 32], what is selected of it.`,
  );
  expect(other).toMatchObject({ code: 1, stdout: '' });
});

test('what cannot be patched from is said before the model is loaded', async () => {
  const out = join(folder, 'clean.safetensors');
  for (const [where, message] of [
    [`${out}:hook_embed`, `safetensors: ${out}: no tensor "hook_embed". It has blocks.2.attn.hook_z, logits.`],
    ['none.safetensors:hook_embed', 'patch-from: none.safetensors: there is no such file.'],
  ]) {
    const finished = await hyaline(['trace', ZOO, PROMPT, '--patch-from', where]);
    expect(finished).toEqual({ code: 1, stdout: '', stderr: `hyaline: ${message}\n` });
  }
  expect(await hyaline(['trace', ZOO, PROMPT, '--zero', 'hook_embed:pos=x'])).toEqual({
    code: 2,
    stdout: '',
    stderr:
      "hyaline: option '--zero <where>' argument 'hook_embed:pos=x' is invalid. Expected axes like pos=-1, pos=2..5 (2, 3, 4) or head=0+2, got \"pos=x\".\n",
  });
});

test('an unknown hook is one line with the nearest name, and leaves no file', async () => {
  const out = join(folder, 'never.safetensors');
  const finished = await hyaline(['trace', ZOO, PROMPT, '--hooks', 'blocks.2.attn.hook_patern', '--out', out, ...FAST]);
  expect(complaint(finished)).toBe(
    'hyaline: hooks: no value "blocks.2.attn.hook_patern". This model has blocks 0–3; did you mean "blocks.2.attn.hook_pattern"?',
  );
  expect(finished).toMatchObject({ code: 1, stdout: '' });
  expect(readdirSync(folder).filter((file) => file.startsWith('never'))).toEqual([]);
});

test('text for a model without a tokenizer is refused, with what to give instead', async () => {
  const finished = await hyaline(['trace', 'models/modular-addition', '5 + 7', ...FAST]);
  expect(complaint(finished)).toBe(
    'hyaline: tokens: models/modular-addition has no tokenizer.json, so it cannot read text. Give token ids: --tokens 1,2,3 (0–113).',
  );
  expect(finished).toMatchObject({ code: 1, stdout: '' });
});

test('a folder that is not there is named', async () => {
  const finished = await hyaline(['trace', 'models/circuit-zo', PROMPT, '--json']);
  expect(finished.stderr).toBe(
    'hyaline: checkpoint: models/circuit-zo: expected a folder with config.json and model.safetensors, got no config.json\n',
  );
  expect(finished).toMatchObject({ code: 1, stdout: '' });
});

test('a place that cannot be written is named before anything is loaded', async () => {
  const nowhere = join(folder, 'nowhere');
  const finished = await hyaline(['trace', ZOO, PROMPT, '--out', join(nowhere, 'trace.safetensors')]);
  expect(finished.stderr).toBe(
    `hyaline: out: ${join(nowhere, 'trace.safetensors')}: there is no folder ${nowhere}. Make it first.\n`,
  );
  expect(finished).toMatchObject({ code: 1, stdout: '' });
});

test('wrong usage ends with exit code 2 and says what was expected', async () => {
  const expected = 'hyaline: trace: expected either a text or --tokens, got';
  const hint = 'See "hyaline trace --help".\n';
  expect(await hyaline(['trace', ZOO])).toEqual({ code: 2, stdout: '', stderr: `${expected} neither. ${hint}` });
  expect(await hyaline(['trace', ZOO, PROMPT, '--tokens', '1'])).toEqual({
    code: 2,
    stdout: '',
    stderr: `${expected} both. ${hint}`,
  });
});

test.runIf(process.platform !== 'win32')(
  'Ctrl-C while loading ends with exit code 130 and leaves no file',
  async () => {
    let heard = () => {};
    const asked = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const server = createServer(() => heard()); // never answers
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const out = join(folder, 'interrupted.safetensors');
      const url = `http://127.0.0.1:${port}/model/`;
      const finished = await hyaline(['trace', url, PROMPT, '--out', out], { interruptAfter: asked });
      expect(finished).toEqual({ code: 130, stdout: '', stderr: 'hyaline: interrupted\n' });
      expect(existsSync(out)).toBe(false);
      expect(readdirSync(folder).filter((file) => file.startsWith('interrupted'))).toEqual([]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  },
);
