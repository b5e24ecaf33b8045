// The page: `npm run dev` serves it from the sources, `vite build` writes it to dist-page/ with the embedded models beside it.

import { cpSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const root = dirname(fileURLToPath(import.meta.url));
/** The development server finds `./models/…` in the repository; a built page needs a copy, without the training recipes. */
function copyModels(): Plugin {
  let page = '';
  return {
    name: 'copy-models',
    apply: 'build',
    configResolved({ build }) {
      page = resolve(root, build.outDir);
    },
    closeBundle() {
      const filter = (path: string) => !path.endsWith('/recipe');
      cpSync(join(root, 'models'), join(page, 'models'), { recursive: true, filter });
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
  build: { outDir: join(root, 'dist-page'), emptyOutDir: true, target: 'es2022', sourcemap: true },
  plugins: [copyModels()],
});
