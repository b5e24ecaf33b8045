// `hyaline doctor`: what this machine can run, tried out.
import {
  type AdapterDescription,
  adapterFingerprint,
  describeAdapter,
  type Fingerprint,
  requestDevice,
} from '../index.ts';
import { FEATURES, type FeatureName, LIMITS, type LimitName } from './adapter_needs.ts';
import { type CheckResult, checkDevice } from './doctor_check.ts';
import { examineModel, type ModelFindings } from './doctor_model.ts';
import { formatDoctor } from './doctor_text.ts';
import { explainFingerprint } from './fingerprint_text.ts';
import { abortable } from './stop.ts';

export interface DoctorOptions {
  readonly model?: string;
  readonly json?: boolean;
  /** Measures the model's tilings and remembers the fastest. */
  readonly tune?: boolean;
  readonly version: string;
}

/** What the doctor found: with `--json` exactly this, as one JSON object. */
export interface DoctorReport {
  readonly ok: boolean;
  readonly runtime: { readonly hyaline: string; readonly node: string; readonly platform: string };
  /** null where there is none; `error` then says why and what to try. */
  readonly adapter: AdapterDescription | null;
  readonly error?: string;
  readonly features?: Readonly<Record<FeatureName, boolean>>;
  readonly limits?: Readonly<Record<LimitName, number>>;
  readonly numbers?: NumberFindings;
  readonly check?: CheckResult;
  readonly model?: ModelFindings;
}

/** What the adapter does to float32 numbers. */
export interface NumberFindings {
  readonly ok: boolean;
  /** Why it could not be found out. */
  readonly error?: string;
  readonly fingerprint?: Fingerprint;
  /** What it means, one sentence each. */
  readonly meaning?: readonly string[];
}

/** Runs the command; prints on stdout. False if there is no adapter, it computes wrongly, or the model does not run. */
export async function doctor(options: DoctorOptions, signal: AbortSignal): Promise<boolean> {
  const report = await examine(options, signal);
  console.log(options.json ? JSON.stringify(report, null, 2) : formatDoctor(report));
  return report.ok;
}

async function examine({ model: source, tune, version }: DoctorOptions, signal: AbortSignal): Promise<DoctorReport> {
  const runtime = { hyaline: version, node: process.version, platform: `${process.platform} ${process.arch}` };
  let device: GPUDevice;
  try {
    device = await requestDevice();
  } catch (error) {
    return { ok: false, runtime, adapter: null, error: error instanceof Error ? error.message : String(error) };
  }
  try {
    const numbers = await examineNumbers(device, signal);
    const check = await checkDevice(device, signal);
    const model = source === undefined ? undefined : await examineModel(source, device, signal, tune);
    return {
      ok: numbers.ok && check.ok && model?.ok !== false,
      runtime,
      adapter: describeAdapter(device),
      features: mapKeys(FEATURES, (name) => device.features.has(name)),
      limits: mapKeys(Object.keys(LIMITS) as LimitName[], (name) => device.limits[name]),
      numbers,
      check,
      model,
    };
  } finally {
    device.destroy();
  }
}

/** Takes the adapter's fingerprint. Whatever goes wrong is in the findings, not an exception. */
export async function examineNumbers(device: GPUDevice, signal: AbortSignal): Promise<NumberFindings> {
  try {
    const fingerprint = await abortable(adapterFingerprint(device), signal);
    return { ok: true, fingerprint, meaning: explainFingerprint(fingerprint) };
  } catch (error) {
    signal.throwIfAborted();
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

function mapKeys<Key extends string, Value>(keys: readonly Key[], f: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, f(key)])) as Record<Key, Value>;
}
