import { defineConfig } from 'vite';

// The folder with the models is served, and copied by a build, as it is. The engine imports parts of itself when it needs them, which a
// worker can do as a module.
export default defineConfig({
  base: './',
  publicDir: '../../models',
  build: { target: 'es2022' },
  worker: { format: 'es' },
});
