// Types of build_page.mjs.
import type { BuildOptions, build } from 'vite';

export function buildPage(options: BuildOptions): ReturnType<typeof build>;
export function inProduction<T>(f: () => Promise<T>): Promise<T>;
