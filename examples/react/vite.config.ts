import { defineConfig } from 'vite';

// The folder with the models is served, and copied by a build, as it is.
export default defineConfig({ base: './', publicDir: '../../models', build: { target: 'es2022' } });
