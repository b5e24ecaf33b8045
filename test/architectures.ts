// All architectures at once, where the engine imports the one that a config asks for. For tests of what is in them.
import type { Architecture } from '../src/engine/architectures/architecture.ts';
import { gpt2 } from '../src/engine/architectures/gpt2.ts';
import { hookedTransformer } from '../src/engine/architectures/hooked_transformer.ts';
import * as engine from '../src/engine/architectures/index.ts';
import { llama } from '../src/engine/architectures/llama.ts';
import type { Checkpoint, RawConfig } from '../src/engine/checkpoint.ts';
import type { ModelConfig } from '../src/engine/config.ts';

const ARCHITECTURES: readonly Architecture[] = [gpt2, llama, hookedTransformer];

/** @throws Error where there is none */
export function architectureOf(raw: RawConfig): Architecture {
  const found = ARCHITECTURES.find(({ modelType }) => modelType === raw.model_type);
  if (!found) throw new Error(`no architecture ${raw.model_type}`);
  return found;
}

export const parseConfig = (raw: RawConfig): ModelConfig => architectureOf(raw).parseConfig(raw);

export const loadWeights = (config: ModelConfig, checkpoint: Checkpoint): engine.LoadedWeights =>
  engine.loadWeights(architectureOf(checkpoint.config), config, checkpoint);
