// The embedded models in reproducible mode on this machine's adapter, against their recorded digests: every value's bits. Writes
// digests.json into the folder that is given; exit code 1 where a value differs.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { adapterFingerprint, describeAdapter, digestValues, Model, requestDevice } from '../../src/index.ts';

interface Recorded {
  readonly tokens: number[][];
  readonly total: string;
  readonly values: Readonly<Record<string, string>>;
}

const MODELS = ['circuit-zoo', 'modular-addition'];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const device = await requestDevice({ label: 'digests' });
const models = [];
for (const name of MODELS) {
  const folder = join(root, 'models', name);
  const recorded: Recorded = JSON.parse(readFileSync(join(folder, 'digests.json'), 'utf8'));
  const model = await Model.load(folder, { device, numerics: 'reproducible' });
  const { cache } = await model.runWithCache(recorded.tokens);
  const { total, values } = await digestValues(cache);
  const got = new Map(values.map(({ name, sha256 }) => [name, sha256]));
  const different = Object.keys(recorded.values).filter((name) => got.get(name) !== recorded.values[name]);
  const isSame = total === recorded.total && different.length === 0 && got.size === Object.keys(recorded.values).length;
  models.push({ name, isSame, values: got.size, different, total, recorded: recorded.total });
  const first = different.length > 0 ? `; the first of ${different.length} is ${different[0]}` : '';
  console.log(`digests of ${name}: ${got.size} values, ${isSame ? 'all as recorded' : `DIFFERENT${first}`}`);
  cache.destroy();
  model.destroy();
}
const report = { adapter: describeAdapter(device), fingerprint: await adapterFingerprint(device), models };
writeFileSync(join(process.argv[2], 'digests.json'), `${JSON.stringify(report, null, 1)}\n`);
device.destroy();
process.exitCode = models.every(({ isSame }) => isSame) ? 0 : 1;
