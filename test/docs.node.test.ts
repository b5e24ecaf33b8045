// README.md and docs/command_line.md as their reader follows them: the ten lines and the commands give what the pages show. `npm test`
// builds first.
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { hyaline } from './cli/spawn.ts';
import { fixtureUrl, readFixture } from './fixtures.ts';

const readme = new TextDecoder().decode(await readFixture('README.md'));
const commandLine = new TextDecoder().decode(await readFixture('docs/command_line.md'));
const blocks = (language: string, page = readme) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, text]) => text);

const programs = blocks('js').map(
  (program, i) => [i === 0 ? 'the ten lines' : `program ${i + 1}`, program, i] as const,
);

test.each(programs)('%s of README.md: prints what the page says', (_, program, i) => {
  // In the repository its own name leads to dist/, by "exports" of package.json.
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: fixtureUrl('.'),
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  expect(stdout).toBe(blocks('text')[i]);
});

test('the ten lines are ten, and every program is followed by what it prints', () => {
  expect(programs[0][1].split('\n').filter(Boolean).length).toBe(10);
  expect(blocks('text').length).toBe(programs.length);
});

/** Lines that say something about the machine. */
const OF_MACHINE = /^(adapter|time) /;

/** Words of a command's output; a number is compared with some room, times and what belongs to the machine are left out. */
const words = (text: string) =>
  text
    .split('\n')
    .filter((line) => !OF_MACHINE.test(line))
    .map((line) => line.replace(/ +/g, ' '))
    .join('\n')
    .trim()
    .split(/(?<=[ \n[\],])|(?=[ \n[\],])/);

const commands = [readme, commandLine]
  .flatMap((page) => blocks('console', page))
  .filter((block) => block.startsWith('$ npx hyaline'));

test.each(commands.map((block) => [block.split('\n')[0], block]))(
  '%s prints what the page says',
  async (line, block) => {
    const args = [...line.slice('$ npx hyaline '.length).matchAll(/'([^']*)'|\S+/g)].map(
      ([word, quoted]) => quoted ?? word,
    );
    const { code, stdout } = await hyaline(args);
    expect(code).toBe(0);
    const want = words(block.slice(line.length + 1));
    const got = words(stdout);
    const same = (a: string, b = '') =>
      a === b || (a.trim() !== '' && Math.abs(Number(a) - Number(b)) <= 1e-3 * Math.abs(Number(a)) + 1e-6);
    expect(got.filter((word, i) => !same(word, want[i])).join(' ')).toBe('');
    expect(got.length).toBe(want.length);
  },
);

test('the commands that run a model are shown', () => {
  expect(commands.map((block) => block.split(/\s/)[3])).toEqual(['trace', 'generate', 'numerics']);
});
