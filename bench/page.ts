// The page that the benchmark opens: `hyalineBench` is what it calls.
import * as engine from '../src/index.ts';
import { type MeasureOptions, measure, measureLoad } from './measure.ts';
import { type PeerFiles, peerCases } from './peers.ts';
import type { LoadSample, Measurement } from './result.ts';

interface Bench {
  readonly measure: (options: MeasureOptions, peers: PeerFiles | null) => Promise<Measurement>;
  readonly measureLoad: (options: MeasureOptions) => Promise<LoadSample>;
}

declare global {
  var hyalineBench: Bench;
  /** Given by the benchmark: shows progress in its terminal. */
  var benchSays: (line: string) => void;
}

globalThis.hyalineBench = {
  measure: (options, peers) =>
    measure(engine, options, {
      ...(peers && { peers: (context) => peerCases(peers, context) }),
      say: globalThis.benchSays,
    }),
  measureLoad: (options) => measureLoad(engine, options),
};
