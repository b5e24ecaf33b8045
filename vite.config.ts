// The page: `npm run dev` serves it from the sources, `npm run build:page` writes it to dist-page/ with the embedded models beside it: files
// for any static host, below any path.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

export default defineConfig({
  root,
  base: './',
  appType: 'mpa', // a missing file is a 404, not the page
  publicDir: false,
  server: { fs: { allow: [root, join(dirname(root), 'shared')] } },
  optimizeDeps: { exclude: ['webgpu'] },
  build: {
    outDir: join(root, 'dist-page'),
    emptyOutDir: true,
    target: 'es2022',
    sourcemap: true,
    modulePreload: { polyfill: false }, // browsers that have WebGPU have it
  },
  plugins: [copyModels()],
});
