// Types of bench_pack.mjs, as far as tests use it.

export function makePack(
  folder: string,
  options?: { withRuntime?: boolean },
): Promise<{ files: { path: string; size: number }[]; mebibytes: number }>;
