// The engine, away from the page's thread. What it exposes reads like Hyaline itself; values stay on the GPU until they are read, and their
// numbers are moved to the page, not copied.
import { expose, proxy, transfer } from 'comlink';
import { Model, type RunWithCacheOptions, topTokens } from 'hyaline';

const engine = {
  async load(location: string) {
    const model = await Model.load(location);
    return proxy({
      async runWithCache(prompt: string, options: RunWithCacheOptions) {
        const { logits, cache } = await model.runWithCache(prompt, options);
        return proxy({
          topTokens: (k: number) => topTokens(model, logits, k),
          async read(name: string) {
            const tensor = await cache.read(name);
            return transfer(tensor, [tensor.data.buffer]);
          },
          destroy: () => cache.destroy(),
        });
      },
      destroy: () => model.destroy(),
    });
  },
};

/** For the page's `wrap<Engine>`. */
export type Engine = typeof engine;

expose(engine);
