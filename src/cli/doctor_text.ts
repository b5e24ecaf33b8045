// What `hyaline doctor` prints for people.
import { FEATURES, LIMITS, type LimitName } from './adapter_needs.ts';
import type { DoctorReport, NumberFindings } from './doctor.ts';
import type { CheckResult } from './doctor_check.ts';
import type { ModelFindings, PassNeeds } from './doctor_model.ts';
import { formatTilings, formatTuned } from './doctor_tilings.ts';
import { binarySize, formatTable, megabytes } from './text.ts';

export function formatDoctor(report: DoctorReport): string {
  const { runtime, adapter, error, features, limits, numbers, check, model } = report;
  const lines = [
    `runtime   hyaline ${runtime.hyaline}, Node ${runtime.node}, ${runtime.platform}`,
    `adapter   ${adapter?.text ?? 'none'}`,
  ];
  if (error) lines.push(`          ${error}`);
  if (features) {
    lines.push(`features  ${FEATURES.map((name) => `${name}: ${features[name] ? 'yes' : 'no'}`).join(', ')}`);
  }
  if (limits) lines.push('', formatLimits(limits), '');
  if (numbers) lines.push(...formatNumbers(numbers));
  if (check) lines.push(...formatCheck(check));
  if (model) lines.push('', ...formatModel(model));
  return lines.join('\n');
}

function formatLimits(limits: NonNullable<DoctorReport['limits']>): string {
  const rows = (Object.keys(LIMITS) as LimitName[]).map((name) => {
    const { guaranteed, isBytes, bounds } = LIMITS[name];
    const say = isBytes ? binarySize : String;
    return [name, say(limits[name]), say(guaranteed), bounds];
  });
  return formatTable([['limit', 'here', 'guaranteed', 'what it bounds'], ...rows], ['left', 'right', 'right', 'left']);
}

function formatNumbers({ error, fingerprint, meaning = [] }: NumberFindings): string[] {
  if (!fingerprint)
    return ['numbers   FAILED: what the adapter does to float32 numbers is not known', `          ${error}`];
  return [
    `numbers   fingerprint ${fingerprint.id}`,
    `          ${fingerprint.summary}`,
    ...meaning.map((sentence) => `          - ${sentence}`),
  ];
}

function formatCheck({ ok, values, problems, elapsedMs }: CheckResult): string[] {
  if (!ok) {
    const list = problems.slice(0, 10).map((problem) => `          - ${problem}`);
    if (problems.length > list.length) list.push(`          - … and ${problems.length - list.length} more`);
    return ['check     FAILED: a small model does not compute what it should', ...list];
  }
  return [
    `check     OK: all ${values} values of a small model are within their error bounds of float64, ` +
      `two runs gave the same bits, and reproducible ones those of the emulation (${elapsedMs.toFixed(0)} ms)`,
  ];
}

function formatModel(model: ModelFindings): string[] {
  const {
    source,
    error,
    warnings = [],
    hooks,
    weightBytes = 0,
    passes = [],
    tilings = [],
    tuned,
    loadMs = 0,
    run,
  } = model;
  if (error) return [`model     ${source}: does NOT run`, `          ${error}`];
  return [
    `model     ${source}: runs; ${hooks} values can be read`,
    ...warnings.map((warning) => `          warning: ${warning}`),
    `          weights: ${megabytes(weightBytes)} on the GPU, loaded in ${loadMs.toFixed(0)} ms`,
    `          embedding: ${describePieces(model.embeddingPieces)}; unembedding: ${describePieces(model.unembeddingPieces)}`,
    ...passes.map((pass) => `          ${describePass(pass)}`),
    ...[...formatTilings(tilings), ...(tuned ? formatTuned(tuned) : [])].map((line) => `          ${line}`),
    ...(run
      ? [`          ran ${tokens(run.pos)} in ${run.warmMs.toFixed(1)} ms (the first time ${run.coldMs.toFixed(1)} ms)`]
      : []),
  ];
}

function describePieces(pieces = 1): string {
  if (pieces === 0) return 'the embedding again (tied)';
  return pieces === 1 ? 'in one piece' : `cut into ${pieces} pieces, as one binding is too small for it`;
}

function describePass({ pos, captured, dispatches, bytes = 0, error }: PassNeeds): string {
  const name = `${tokens(pos)}, ${captured} kept`;
  return error ? `${name}: does NOT run: ${error}` : `${name}: ${dispatches} dispatches, ${megabytes(bytes)} of values`;
}

function tokens(count: number): string {
  return count === 1 ? '1 token' : `${count} tokens`;
}
