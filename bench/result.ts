// What a benchmark leaves behind, as it stands in results/*.json. Times are in milliseconds of wall time.
import type { AdapterDescription, Fingerprint } from '../src/index.ts';
import type { Quartiles } from './quartiles.ts';

/** A condition that had to hold before anything was timed. */
export interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** What was seen. */
  readonly detail: string;
}

/** One thing measured many times. */
export interface Timing extends Quartiles {
  readonly name: string;
  /** `hyaline`, or the peer. */
  readonly engine: string;
  readonly tokens: number;
  readonly samples: readonly number[];
}

/** How much longer one thing takes than another: quotients of turns in the same rounds. */
export interface Ratio extends Quartiles {
  readonly name: string;
  readonly tokens: number;
}

/** What one kind of run costs besides time. */
export interface PlanCost {
  readonly name: string;
  readonly dispatches: number;
  /** Values with a buffer in this run. */
  readonly values: number;
  /** GPU memory that the model holds more after the first such run than before it. */
  readonly buffers: number;
  readonly bytes: number;
}

/** One load in a fresh process or browser. */
export interface LoadSample {
  readonly device: number;
  readonly download: number;
  readonly upload: number;
  readonly compile: number;
  /** `Model.load` from beginning to end. */
  readonly load: number;
  /** Of 64 tokens. */
  readonly firstRun: number;
  readonly warmRun: number;
  /** `Model.load` once more on the same device, which has the pipelines already. */
  readonly secondLoad: number;
}

export type LoadTiming = Quartiles & { readonly name: keyof LoadSample; readonly samples: readonly number[] };

export interface Peer {
  readonly name: string;
  /** Null where it could not be asked. */
  readonly version: string | null;
  /** Why it was not timed; null when it was. */
  readonly notRun: string | null;
  readonly checks: readonly Check[];
}

/** The time of all dispatches of one kernel within one run. */
export interface KernelShare {
  readonly kernel: string;
  readonly dispatches: number;
  readonly median: number;
  /** Of the sum over all kernels. */
  readonly share: number;
}

export interface Profile {
  readonly name: string;
  readonly kernels: readonly KernelShare[];
  /** The slowest single dispatches. */
  readonly slowest: readonly { readonly label: string; readonly median: number }[];
}

/** GB/s of a copy that reads so many bytes and writes as many. */
export interface CopyRate extends Quartiles {
  readonly bytes: number;
}

/** What the adapter can do at its best, by kernels that do nothing else. */
export interface Limits {
  /** From sizes that caches hold to those that they do not. */
  readonly copy: readonly CopyRate[];
  /** GFLOP/s of multiply-adds in registers (2 each). */
  readonly fma: Quartiles;
  /** Milliseconds of a dispatch that does nothing, one of many in a pass. */
  readonly dispatch: Quartiles;
  /** Milliseconds from a submission to its result on the CPU. */
  readonly roundTrip: Quartiles;
  /** Whether kernels were timed by the GPU's clock; otherwise by the wall clock. */
  readonly timestamps: boolean;
}

/** One dispatch at the shape of a real model. */
export interface KernelTiming {
  readonly shape: string;
  readonly kernel: string;
  /** What it computes, e.g. `blocks.0.mlp.hook_pre`. */
  readonly value: string;
  readonly rows: number;
  /** Positions in the key-value cache before these rows. */
  readonly context: number;
  /** What it has to move and to compute at least; `matrixBytes` are those of the weights that it multiplies with. */
  readonly bytes: number;
  readonly matrixBytes: number;
  readonly flops: number;
  /** Dispatches in one pass. */
  readonly repeats: number;
  /** Milliseconds of one of them. */
  readonly wall: Quartiles;
  readonly gpu: Quartiles | null;
}

/** Milliseconds at one point of a curve. */
export interface Growth extends Quartiles {
  readonly model: string;
  /** A run of `at` tokens; a token behind `at` others, by `run` or by `generate`; a run of `at` rows of 64 tokens; one of 64 tokens through `at` layers. */
  readonly kind: 'prefill' | 'decode' | 'generate' | 'batch' | 'layers';
  readonly at: number;
  readonly samples: readonly number[];
}

/** Bytes that were held when everything had run once and was warm. */
export interface HeldMemory {
  /** On the GPU, by model: weights, plans at rest, caches. */
  readonly gpu: readonly { readonly model: string; readonly bytes: number }[];
  /** The most that the Node process was resident with, or what the page's JavaScript heap held; null where a browser does not say. */
  readonly host: number | null;
}

/** What a page or a Node process measures. What earlier versions did not measure their results do not have. */
export interface Measurement {
  readonly limits?: Limits;
  readonly kernels?: readonly KernelTiming[];
  readonly growth?: readonly Growth[];
  readonly memory?: HeldMemory;
  /** What was left out, and why. */
  readonly skipped?: readonly string[];
  readonly firstLoad: LoadSample;
  readonly adapter: AdapterDescription;
  /** What the adapter does to float32 numbers. */
  readonly fingerprint?: Fingerprint;
  readonly checks: readonly Check[];
  readonly timings: readonly Timing[];
  /** Rounds of everything captured over rounds without capture. */
  readonly captureRatio: Quartiles | null;
  /** Of decoding, of sweeps, of growth, …: turns of the same rounds. */
  readonly ratios?: readonly Ratio[];
  readonly plans: readonly PlanCost[];
  /** The model's weights on the GPU. */
  readonly weights: { readonly buffers: number; readonly bytes: number };
  readonly peers: readonly Peer[];
  readonly profiles: readonly Profile[];
  /** Why there is no profile though one was asked for; null otherwise. */
  readonly profileProblem: string | null;
}

export interface RuntimeResult extends Omit<Measurement, 'firstLoad'> {
  /** `page`: a browser that a person measured in. */
  readonly runtime: 'chrome' | 'node' | 'page';
  /** Of the browser, or of Node. */
  readonly version: string;
  readonly loads: readonly LoadTiming[];
}

export interface Requirement {
  readonly name: string;
  readonly limit: number;
  /** The value has to be at least the limit; otherwise at most. */
  readonly atLeast?: boolean;
  readonly value: number;
  readonly unit: string;
  readonly met: boolean;
}

export interface BenchmarkResult {
  readonly format: 1;
  readonly date: string;
  /** Null outside of a git checkout. */
  readonly commit: string | null;
  /** True where files of the engine differed from that commit. */
  readonly modified: boolean;
  readonly model: string;
  readonly quick: boolean;
  readonly repetitions: number;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly platform: string };
  /**
   * Processes that wanted a core, over the minute before the run and over its last minute; this program is among the latter. Null where
   * a page cannot know.
   */
  readonly load: { readonly before: number; readonly after: number } | null;
  readonly versions: Readonly<Record<string, string>>;
  readonly runtimes: readonly RuntimeResult[];
  readonly requirements: readonly Requirement[];
}
