// The page: `npm run dev` serves it from the sources, `npm run build:page` writes it to dist-page/ with the embedded models beside it: files
// for any static host, below any path.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const root = dirname(fileURLToPath(import.meta.url));
const models = join(root, 'models');

/** What the page reads of a model, and its licence; recipes and records of the training stay in the repository. */
const MODEL_FILES = [
  'LICENSE',
  'config.json',
  'digests.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
];

/** The development server finds `./models/…` in the repository; a built page needs a copy. */
function copyModels(): Plugin {
  return {
    name: 'copy-models',
    apply: 'build',
    generateBundle() {
      const paths = readdirSync(models).flatMap((model) => MODEL_FILES.map((file) => `${model}/${file}`));
      for (const path of paths.filter((path) => existsSync(join(models, path)))) {
        this.emitFile({ type: 'asset', fileName: `models/${path}`, source: readFileSync(join(models, path)) });
      }
    },
  };
}

/**
 * A worker of the page as one more entry of its build, so that both share the engine's code: as a build of its own, which is what Vite
 * makes of `new Worker(new URL(…))`, it would be downloaded twice.
 */
function sharedWorkers(): Plugin {
  const WORKER = /new URL\('(\.\/\w+_worker\.ts)', import\.meta\.url\)/g;
  return {
    name: 'shared-workers',
    apply: 'build',
    enforce: 'pre',
    transform(code, id) {
      if (!id.startsWith(join(root, 'src', 'ui')) || code.search(WORKER) < 0) return null;
      const entry = (path: string) => this.emitFile({ type: 'chunk', id: resolve(dirname(id), path) });
      const shared = (_: string, path: string) => `new URL(import.meta.ROLLUP_FILE_URL_${entry(path)})`;
      return { code: code.replace(WORKER, shared), map: null }; // lines stay
    },
  };
}

export default defineConfig({
  root,
  base: './',
  appType: 'mpa', // a missing file is a 404, not the page
  publicDir: false,
  server: { fs: { allow: [root, join(dirname(root), 'shared')] } },
  optimizeDeps: { entries: ['index.html'], exclude: ['webgpu'] }, // examples have packages of their own
  build: {
    outDir: join(root, 'dist-page'),
    emptyOutDir: true,
    target: 'es2022',
    sourcemap: true,
    modulePreload: {
      polyfill: false, // browsers that have WebGPU have it
      // What is loaded later is not announced by <link>s: the worker, which shares that code, has no document to put them in.
      resolveDependencies: (_, files, { hostType }) => (hostType === 'html' ? files : []),
    },
  },
  plugins: [copyModels(), sharedWorkers()],
});
