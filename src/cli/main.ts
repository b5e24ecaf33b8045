// The command line's commands, their options and help, and what every command shares: exit codes, one-line errors, Ctrl-C.
// What a command does is in the file of its name.
import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { NUMERICS_FIGURES, WEIGHT_FORMATS } from '../index.ts';
import { type DiffOptions, diff } from './diff.ts';
import { type DoctorOptions, doctor } from './doctor.ts';
import { type Edit, parsePatchFrom, parseScale, parseZero } from './edits.ts';
import { type GenerateCommandOptions, generate } from './generate.ts';
import { type NumericsCommandOptions, numerics } from './numerics.ts';
import { parseNumber, parseTokens } from './tokens.ts';
import { type TraceOptions, trace } from './trace.ts';

const OK = 0;
const FAILED = 1;
const USAGE = 2;
const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;
type StopSignal = keyof typeof SIGNAL_NUMBERS;

class Stopped extends Error {
  readonly exitCode: number;

  constructor(signal: StopSignal) {
    super(signal === 'SIGINT' ? 'interrupted' : 'terminated');
    this.exitCode = 128 + SIGNAL_NUMBERS[signal]; // as shells count
  }
}

/**
 * Runs one command line and gives the exit code: 0 done, 1 failed, 2 misused, 130 interrupted. Writes to stdout and stderr.
 * @example
 * process.exitCode = await main(['trace', 'models/circuit-zoo', 'The capital of France is']);
 */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode: number = OK;
  const controller = new AbortController();
  const stop = (signal: StopSignal) => controller.abort(new Stopped(signal));
  process.once('SIGINT', stop); // once: a second Ctrl-C ends the process at once
  process.once('SIGTERM', stop);
  process.stdout.on('error', endOnBrokenStdout);
  try {
    const program = createProgram(async (command) => {
      exitCode = (await command(controller.signal)) ? OK : FAILED;
    });
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : USAGE; // commander has said what was wrong
    console.error(process.env.HYALINE_DEBUG === '1' ? error : `hyaline: ${messageOf(error)}`);
    return error instanceof Stopped ? error.exitCode : FAILED;
  } finally {
    process.removeListener('SIGINT', stop);
    process.removeListener('SIGTERM', stop);
  }
}

/** A command as it runs; false means that what it checked is not all right, which it has said itself. */
type Running = (signal: AbortSignal) => Promise<boolean>;

function createProgram(start: (command: Running) => Promise<void>): Command {
  const program = new Command('hyaline')
    .description(
      'A transformer on WebGPU in which every intermediate value can be read and changed, under its TransformerLens name.',
    )
    .version(packageVersion())
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'hyaline: ')) })
    .addHelpText('after', PROGRAM_HELP);

  const edits: Edit[] = []; // of all options, in the order of the command line
  const edit = (parse: (text: string) => Edit) => (text: string) => void edits.push(parse(text));

  program
    .command('trace')
    .summary('run a text and show what is inside')
    .description('Runs a text or tokens through a model: the next-token table, and statistics of any value inside.')
    .argument('<model>', MODEL_HELP)
    .argument('[text]', 'the text to run (or give --tokens)')
    .option('--tokens <ids>', 'token ids instead of a text: 1,2,3 or, for several rows, "1,2,3;4,5,6"', parseTokens)
    .option('--hooks <glob>', 'values to capture, by name or glob; may be repeated (default: the logits only)', collect)
    .option('--zero <where>', ZERO_HELP, edit(parseZero))
    .option('--scale <where>', SCALE_HELP, edit(parseScale))
    .option('--patch-from <where>', PATCH_HELP, edit(parsePatchFrom))
    .option('--out <file>', 'write every captured value and the logits to this safetensors file')
    .option('--digest', 'print the SHA-256 of every captured value and of all (without --hooks: of all values)')
    .option('--json', 'print one JSON object on stdout instead of tables')
    .option('--no-bos', 'do not put the BOS token in front of the text')
    .addOption(numericsOption())
    .addOption(weightsOption())
    .addOption(cacheOption())
    .addHelpText('after', TRACE_HELP)
    .action((model: string, text: string | undefined, options: TraceOptions, command: Command) => {
      checkInput(command, text, options.tokens);
      const invocation = { ...options, model, text, edits, version: packageVersion() };
      return start((signal) => trace(invocation, signal));
    });

  program
    .command('generate')
    .summary('continue a text')
    .description('Continues a text or tokens: the new text on stdout as it comes, adapter and speed on stderr.')
    .argument('<model>', MODEL_HELP)
    .argument('[text]', 'the text to continue (or give --tokens)')
    .option('--tokens <ids>', 'token ids instead of a text: 1,2,3', parseTokens)
    .option('--max-new-tokens <n>', 'most tokens to add (default: 64)', parseNumber)
    .option('--temperature <t>', '0, the default, takes the most probable token; above 0 one is drawn', parseNumber)
    .option('--top-k <k>', 'draw among the k most probable tokens', parseNumber)
    .option('--top-p <p>', 'draw among the fewest tokens that have this probability together', parseNumber)
    .option('--min-p <p>', 'draw among tokens at least this probable, compared with the most probable one', parseNumber)
    .option('--repetition-penalty <r>', 'make tokens less probable that the text has (1: no change)', parseNumber)
    .option('--seed <s>', 'the same seed draws the same text (default: 0)', parseNumber)
    .option('--stop <string>', 'end before this text; may be repeated', collect)
    .option('--zero <where>', ZERO_HELP, edit(parseZero))
    .option('--scale <where>', SCALE_HELP, edit(parseScale))
    .option('--json', 'print one JSON object at the end instead of the text')
    .option('--no-bos', 'do not put the BOS token in front of the text')
    .addOption(numericsOption())
    .addOption(weightsOption())
    .addOption(cacheOption())
    .addHelpText('after', GENERATE_HELP)
    .action((model: string, text: string | undefined, options: GenerateCommandOptions, command: Command) => {
      const rows = options.tokens?.length ?? 1;
      if ((text === undefined) === (options.tokens === undefined) || rows > 1) {
        const got = rows > 1 ? `${rows} rows` : text === undefined ? 'neither' : 'both';
        command.error(
          `error: generate: expected either a text or one row of --tokens, got ${got}. See "hyaline generate --help".`,
        );
      }
      return start((signal) => generate({ ...options, model, text, edits }, signal));
    });

  program
    .command('diff')
    .summary('compare the values of two files')
    .description(
      'Compares the values of two safetensors files by name, bit by bit: which differ, and which of them first.',
    )
    .argument('<a>', DIFF_FILE_HELP)
    .argument('<b>', 'another one')
    .option('--hooks <glob>', 'values to compare, by name or glob; may be repeated (default: all)', collect)
    .option('--json', 'print one JSON object on stdout instead of the table')
    .addHelpText('after', DIFF_HELP)
    .action((a: string, b: string, options: DiffOptions) => start((signal) => diff({ ...options, a, b }, signal)));

  program
    .command('numerics')
    .summary('show where rounding errors come from')
    .description(
      "Runs a text or tokens and compares every value with float64: how large its error is, how much of it the value's own operation made, and what it does to the predictions.",
    )
    .argument('<model>', MODEL_HELP)
    .argument('[text]', 'the text to run (or give --tokens)')
    .option('--tokens <ids>', 'token ids instead of a text: 1,2,3 or, for several rows, "1,2,3;4,5,6"', parseTokens)
    .option('--hooks <glob>', 'values to list, by name or glob; may be repeated (default: all)', collect)
    .addOption(new Option('--map <figure>', 'print values by layer, with this in the cells').choices(NUMERICS_FIGURES))
    .option('--json', 'print one JSON object on stdout instead of tables')
    .option('--no-bos', 'do not put the BOS token in front of the text')
    .addOption(numericsOption())
    .addOption(weightsOption())
    .addOption(cacheOption())
    .addHelpText('after', NUMERICS_HELP)
    .action((model: string, text: string | undefined, options: NumericsCommandOptions, command: Command) => {
      checkInput(command, text, options.tokens);
      return start((signal) => numerics({ ...options, model, text }, signal));
    });

  program
    .command('doctor')
    .summary('say what this machine can run')
    .description(
      'Shows the adapter, its features and limits, and computes a small model on it, checked against float64.',
    )
    .argument('[model]', `also load this model and run it: ${MODEL_HELP}`)
    .option('--tune', 'measure how the model’s matrix products run fastest here, and remember it for later loads')
    .option('--json', 'print one JSON object on stdout instead of text')
    .addHelpText('after', DOCTOR_HELP)
    .action((model: string | undefined, options: Pick<DoctorOptions, 'json' | 'tune'>, command: Command) => {
      if (options.tune && model === undefined) command.error('error: --tune needs a model');
      return start((signal) => doctor({ ...options, model, version: packageVersion() }, signal));
    });
  return program;
}

/** The command line is for looking closely: the same bits everywhere, unless told otherwise. */
function numericsOption(): Option {
  return new Option('--numerics <mode>', 'reproducible: the same bits on every adapter; fast: as this one multiplies')
    .choices(['reproducible', 'fast'])
    .default('reproducible');
}

function weightsOption(): Option {
  return new Option('--weights <format>', 'store matrices in less memory: f16, or q8 or q4 with a scale for each 32')
    .choices(WEIGHT_FORMATS)
    .default('f32');
}

function cacheOption(): Option {
  return new Option('--cache <folder>', 'keep what comes from the hub for the next time, in this folder');
}

/** Ends the command where it has no input, or two. */
function checkInput(command: Command, text: unknown, tokens: unknown): void {
  if ((text === undefined) !== (tokens === undefined)) return;
  const [name, got] = [command.name(), text === undefined ? 'neither' : 'both'];
  command.error(`error: ${name}: expected either a text or --tokens, got ${got}. See "hyaline ${name} --help".`);
}

const MODEL_HELP = 'a folder with config.json and model.safetensors: a path, a URL or hf:owner/name@revision';

const DIFF_FILE_HELP = 'a safetensors file of values, as "hyaline trace --out" or Python writes it';

const PROGRAM_HELP = `
Examples:
  $ hyaline doctor
  $ hyaline trace models/circuit-zoo 'The capital of France is'
  $ hyaline generate models/circuit-zoo 'One day, Ella had a red'
  $ hyaline numerics models/circuit-zoo 'The capital of France is'
  $ hyaline trace models/circuit-zoo 'The capital of France is' --hooks 'blocks.*.attn.hook_pattern' --out trace.safetensors

Exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. HYALINE_DEBUG=1 shows where an error came from.`;

const ZERO_HELP = 'set a value to 0: NAME or NAME:axis=index, as in blocks.2.attn.hook_z:head=3; may be repeated';
const SCALE_HELP =
  'multiply a value: NAME=k or NAME=k:axis=index, as in blocks.0.hook_mlp_out=0.5:pos=-1; may be repeated';
const PATCH_HELP =
  'set a value to that of a safetensors file: FILE:NAME or FILE:NAME:axis=index, as in clean.safetensors:hook_embed:pos=3; may be repeated';
const SELECTION_HELP = `
A selection is axis=index, several by commas: pos=-1 (the last), pos=2..5 (2, 3 and 4), pos=4.. (from 4 on), head=0+2, or
head=3,pos=1; axes that are not named are taken whole. Names may be globs, except with --patch-from. Edits apply in the order of
the command line.`;

const TRACE_HELP = `
Examples:
  $ hyaline trace models/circuit-zoo 'The capital of France is'
  $ hyaline trace models/circuit-zoo 'The capital of France is' --hooks 'blocks.0.*' --hooks ln_final.hook_scale
  $ hyaline trace models/modular-addition --tokens '5,7,113;1,2,113' --hooks '*' --out sums.safetensors
  $ hyaline trace models/circuit-zoo 'The capital of France is' --digest
  $ hyaline trace hf:openai-community/gpt2 'Hello' --json
  $ hyaline trace models/circuit-zoo 'The capital of France is' --zero blocks.2.attn.hook_z:head=3 --scale 'blocks.*.hook_mlp_out=0.5:pos=-1'
  $ hyaline trace models/circuit-zoo 'The capital of Italy is' --patch-from france.safetensors:blocks.2.hook_resid_post:pos=3
${SELECTION_HELP}

In Python: safetensors.numpy.load_file('sums.safetensors') gives every value by its name. --digest: SHA-256 of a value's float32
bytes, and of the UTF-8 lines "name [shape] digest", one for each value; equal digests mean equal bits.`;

const GENERATE_HELP = `
Examples:
  $ hyaline generate models/circuit-zoo 'One day, Ella had a red' --max-new-tokens 20
  $ hyaline generate models/circuit-zoo 'One day, Ella had a red' --temperature 0.8 --top-p 0.9 --seed 7 --stop .
  $ hyaline generate models/circuit-zoo 'The capital of France is' --zero blocks.2.attn.hook_z:head=3 --json
${SELECTION_HELP}`;

const DIFF_HELP = `
Examples:
  $ hyaline trace models/circuit-zoo 'The capital of France is' --hooks '*' --out ours.safetensors
  $ hyaline diff ours.safetensors torch.safetensors
  $ hyaline diff ours.safetensors torch.safetensors --hooks 'blocks.0.*' --json

Values are listed in the order in which a model computes them, so the first difference is where the two part ways. ULP are float32
steps between two numbers; where the dtypes differ, both are compared as float32. In JSON, NaN and infinities are strings.
Exit code: 0 the same bits in the same values, 1 otherwise.`;

const NUMERICS_HELP = `
Examples:
  $ hyaline numerics models/circuit-zoo 'The capital of France is'
  $ hyaline numerics models/circuit-zoo 'The capital of France is' --hooks 'blocks.*.hook_resid_post' --hooks logits
  $ hyaline numerics models/circuit-zoo 'The capital of France is' --map localShare
  $ hyaline numerics models/modular-addition --tokens 5,7,113 --json
  $ hyaline numerics models/circuit-zoo 'The capital of France is' --weights q8

Columns: the RMS of the error in units of the value's own RMS; the error in float32 steps (ULP), its median and largest; which part of
the error the value's own operation made (the rest came with its inputs); the relative error that came, in units of the largest of the
inputs'; the largest own error as a part of its worst-case bound; and the position with the largest relative error. With --weights
in less than f32, errors are from a float64 pass with the checkpoint's own weights, and another column has the part that the smaller
weights make.

Exit code: 1 also where a value is outside of its bound, or holds NaN or infinities.`;

const DOCTOR_HELP = `
Examples:
  $ hyaline doctor
  $ hyaline doctor models/circuit-zoo --json
  $ hyaline doctor models/circuit-zoo --tune`;

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return String(version);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `hyaline trace … | head` closes the pipe early: no error of ours. */
function endOnBrokenStdout(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(OK);
  console.error(`hyaline: stdout: ${error.message}`);
  process.exit(FAILED);
}
