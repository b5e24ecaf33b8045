import { describe, expect, test } from 'vitest';
import type { ModelConfig } from '../../src/engine/config.ts';
import { dispatchesOf } from '../../src/engine/frame.ts';
import { buildGraph, type Graph, LOGITS, RUN_INPUTS } from '../../src/engine/graph.ts';
import { compile, type Plan, valueShape } from '../../src/engine/plan.ts';
import { bufferOf } from '../../src/engine/tasks.ts';
import { weightLayouts } from '../../src/engine/weights.ts';
import { selectHooks } from '../../src/hooks/names.ts';
import { hasWholePairs } from '../../src/kernels/qkv_projection.ts';
import { parseConfig } from '../architectures.ts';
import { readJsonFixture } from '../fixtures.ts';
import { TINY_CONFIGS } from '../models/tiny.ts';

const LIMITS = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupsPerDimension: 65535,
  maxStorageBuffersPerShaderStage: 10,
  invocations: 4,
};

const layoutsOf = (config: ModelConfig, limit = LIMITS.maxStorageBufferBindingSize) => weightLayouts(config, limit);

const graphOf = (config: ModelConfig) => buildGraph(config, (name) => layoutsOf(config).has(name));

const CONFIGS: [string, ModelConfig][] = [
  ...Object.entries(TINY_CONFIGS).map(([name, raw]): [string, ModelConfig] => [name, parseConfig(raw)]),
  ['circuit-zoo', parseConfig(await readJsonFixture('models/circuit-zoo/config.json'))],
];

/** Shapes of the values that a plan materialises, by their size in bytes: buffers are reused across shapes of one size. */
function shapesBySize(graph: Graph, plan: Plan): Map<number, Set<string>> {
  const shapes = new Map<number, Set<string>>();
  for (const [name, slot] of plan.slotOf) {
    const value = graph.values.get(name);
    if (!value) throw new Error(name);
    const shape = value.axes.map((axis, i) => `${axis.name}=${valueShape(value, plan)[i]}`).join();
    const size = plan.slots[slot];
    shapes.set(size, (shapes.get(size) ?? new Set()).add(shape));
  }
  return shapes;
}

describe.each(CONFIGS)('%s', (_, config) => {
  const graph = graphOf(config);
  const request = { numerics: 'fast' as const, batch: 2, pos: Math.min(8, config.nCtx) };
  const plan = (capture: readonly string[]) => compile(graph, { ...request, capture }, layoutsOf(config), LIMITS);

  test('every value that a kernel writes or reads has a name in the graph, and every name a producer', () => {
    const written = new Set<string>();
    for (const { kernel, dims, inputs, outputs, weights } of graph.operations) {
      const bindings = kernel.bindings({ ...dims, batch: 1, pos: 1 });
      // Every output of the kernel is a named value. Norms without gain have no `out`, MLPs without gate no `gate`; of the norms of
      // single heads' inputs only the last value has a name, and the others are never stored.
      const unnamed = bindings.filter(({ name, role }) => role === 'output' && !(name in outputs));
      const without = [
        ...(/Pre$/.test(String(config.normalizationType)) ? ['out'] : []),
        ...(config.gatedMlp ? [] : ['gate']),
        ...('copies' in dims ? ['scale', 'normalized', 'out'].filter((name) => !(name in outputs)) : []),
      ];
      expect(unnamed.filter(({ name }) => !without.includes(name)).map(({ name }) => `${kernel.name} ${name}`)).toEqual(
        [],
      );
      for (const name of Object.values(outputs)) expect(graph.values.has(name), name).toBe(true);
      for (const name of Object.values(inputs)) {
        expect(RUN_INPUTS.includes(name) || graph.values.has(name), name).toBe(true);
      }
      const bound = new Set([...Object.keys(inputs), ...Object.keys(outputs), ...Object.keys(weights)]);
      const declared = new Set(bindings.map(({ name }) => name));
      expect([...bound].filter((name) => !declared.has(name))).toEqual([]);
      for (const name of Object.values(outputs)) {
        expect(written.has(name), `${name} is written twice`).toBe(false);
        written.add(name);
      }
    }
    for (const { name } of graph.values.values())
      expect(written.has(bufferOf(graph, name, () => false)), name).toBe(true);
  });

  test('every buffer that a dispatch writes holds a named value', () => {
    const everything = plan([...graph.values.keys()]);
    const named = new Set(everything.slotOf.values());
    for (const { label, access, resources } of dispatchesOf(everything)) {
      resources.forEach((resource, i) => {
        if (access[i] !== 'storage') return;
        const isNamed = resource.kind === 'slot' && named.has(resource.slot);
        expect(isNamed || resource.kind === 'scratch', label).toBe(true);
      });
    }
  });

  test('a kernel never writes a buffer that it reads', () => {
    for (const { label, access, resources } of dispatchesOf(plan([LOGITS]))) {
      const slots = resources.map((resource) =>
        resource.kind === 'slot' ? resource.slot : -1 - resources.indexOf(resource),
      );
      const written = slots.filter((_slot, i) => access[i] === 'storage');
      const read = slots.filter((_slot, i) => access[i] !== 'storage');
      expect(
        written.filter((slot) => read.includes(slot)),
        label,
      ).toEqual([]);
    }
  });

  test('without captures it holds at most three buffers for values of one shape', () => {
    const without = plan([LOGITS]);
    for (const [size, shapes] of shapesBySize(graph, without)) {
      const buffers = without.slots.filter((bytes) => bytes === size).length;
      expect(buffers, [...shapes].join('; ')).toBeLessThanOrEqual(3 * shapes.size);
    }
  });

  test('capturing nothing takes at most 8 dispatches a block for a text and 7 for a token behind a cache', () => {
    const outside = 5 + Number(config.outputLogitsSoftCap !== null);
    expect(plan([LOGITS]).steps.length).toBeLessThanOrEqual(8 * config.nLayers + outside);
    const cached = { capacity: config.nCtx, keys: config.nCtx };
    const decode = compile(graph, { ...request, pos: 1, capture: [LOGITS], cached }, layoutsOf(config), LIMITS);
    // Heads of a size that has no whole rotary pairs turn queries and keys by themselves.
    const turned = config.positionalEmbeddingType === 'rotary' && !hasWholePairs(config.dHead, config.rotaryDim / 2);
    expect(decode.steps.length).toBeLessThanOrEqual((turned ? 10 : 7) * config.nLayers + outside);
  });

  test('a request without hooks has the plan of a graph that is made without them', () => {
    // What only hooks need: values on demand, and what runs instead where they are written.
    const operations = graph.operations
      .filter(({ outputs }) => !Object.values(outputs).every((name) => graph.values.get(name)?.onDemand))
      .map(({ instead: _, ...operation }) => operation);
    expect(operations.length).toBeLessThan(graph.operations.length);
    const without = { ...graph, operations };
    for (const [pos, cached] of [
      [request.pos, undefined],
      [1, { capacity: config.nCtx, keys: config.nCtx }],
    ] as const) {
      const asked = { ...request, pos, cached, capture: [LOGITS] };
      const { steps, slots } = compile(graph, asked, layoutsOf(config), LIMITS);
      const plain = compile(without, asked, layoutsOf(config), LIMITS);
      expect([steps, slots]).toEqual([plain.steps, plain.slots]);
      expect(steps.every((step) => step.kind === 'dispatch' && step.expression === '')).toBe(true);
    }
  });

  test('a captured value un-fuses what hides it, and nothing in other blocks', () => {
    const labelsOf = (capture: readonly string[]) => dispatchesOf(plan(capture)).map(({ label }) => label);
    const nothing = labelsOf([LOGITS]);
    for (const { name, layer, onDemand } of graph.values.values()) {
      if (onDemand || layer === null) continue;
      const labels = labelsOf([LOGITS, name]);
      const elsewhere = (all: readonly string[]) => all.filter((label) => !label.includes(`blocks.${layer}.`));
      expect(elsewhere(labels), name).toEqual(elsewhere(nothing));
      expect(labels.length - nothing.length, name).toBeLessThanOrEqual(4);
    }
  });

  test('capturing everything computes each value by its own operation', () => {
    const usual = [...graph.values.values()].filter(({ onDemand }) => !onDemand).map(({ name }) => name);
    const operations = graph.operations.filter(({ outputs }) =>
      Object.values(outputs).some((name) => usual.includes(name)),
    );
    const kernels = dispatchesOf(plan(usual)).map(({ kernel }) => kernel);
    const fused = operations
      .map(({ kernel }) => kernel.name)
      .join()
      .replaceAll('matmul,matmul,matmul', 'qkv_projection');
    expect(kernels.join()).toBe(fused);
  });

  test('equal requests give equal plans', () => {
    expect(plan([LOGITS])).toEqual(plan([LOGITS]));
  });

  test('a given value stops what only it needed from running', () => {
    const last = `blocks.${config.nLayers - 1}.hook_resid_post`;
    const given = compile(graph, { ...request, capture: [LOGITS], given: [last] }, layoutsOf(config), LIMITS);
    const steps = dispatchesOf(given);
    expect(steps.every(({ kernel }) => ['norm', 'unembed', 'soft_cap'].includes(kernel))).toBe(true);
    expect(steps.length).toBeGreaterThan(0);
  });
});

test('a captured value keeps its buffer: nothing else is written to it', () => {
  const config = parseConfig(TINY_CONFIGS.gpt2);
  const graph = graphOf(config);
  const name = 'blocks.0.hook_resid_mid';
  const captured = compile(
    graph,
    { numerics: 'fast', batch: 1, pos: 4, capture: [name, LOGITS] },
    layoutsOf(config),
    LIMITS,
  );
  const { slotOf } = captured;
  const writers = dispatchesOf(captured).filter(({ access, resources }) =>
    resources.some(
      (resource, i) => access[i] === 'storage' && resource.kind === 'slot' && resource.slot === slotOf.get(name),
    ),
  );
  expect(writers.map(({ label }) => label)).toEqual([`output_projection ${name}`]);
});

test('a value too large for the adapter is refused by name, with its size and what to do', () => {
  const config = parseConfig(TINY_CONFIGS.gpt2);
  const limits = { ...LIMITS, maxStorageBufferBindingSize: 4000 };
  expect(() =>
    compile(graphOf(config), { numerics: 'fast', batch: 10, pos: 11, capture: [LOGITS] }, layoutsOf(config), limits),
  ).toThrow(
    'device: unembed.hook_out of 10 × 11 tokens needs a 16280 bytes binding, this adapter allows 4000 bytes. ' +
      'Run fewer rows at a time or a shorter text.',
  );
  expect(() => layoutsOf(config, 1000)).toThrow(
    'device: blocks.0.mlp.W_in needs a 2304 bytes binding, this adapter allows 1000 bytes. ' +
      'Request a device with a larger maxStorageBufferBindingSize, or use a smaller model.',
  );
});

test('the scratch buffer fits the adapter: fewer workgroups take the tiles of a long text', () => {
  const config = parseConfig(TINY_CONFIGS.llama);
  const attentionUnder = (maxBufferSize: number, pos: number) => {
    const limits = { ...LIMITS, maxBufferSize };
    const plan = compile(
      graphOf(config),
      { numerics: 'fast', batch: 1, pos, capture: [LOGITS] },
      layoutsOf(config),
      limits,
    );
    expect(plan.scratch).toBeLessThanOrEqual(maxBufferSize);
    return dispatchesOf(plan).find(({ kernel }) => kernel === 'attention')?.workgroups[0];
  };
  // A tile of four rows: scores of 64 keys, 8 segments and 4 elements of the queries, 16 bytes each.
  expect(attentionUnder(LIMITS.maxBufferSize, 64)).toBe((64 / 4) * 6);
  expect(attentionUnder(12000, 64)).toBe(Math.floor(12000 / (16 * (64 + 8 + 4))));
});

test('names are selected by glob, list and predicate, in firing order, each once', () => {
  const graph = graphOf(parseConfig(TINY_CONFIGS.gpt2));
  expect(selectHooks(graph, 'blocks.*.hook_resid_mid')).toEqual(['blocks.0.hook_resid_mid', 'blocks.1.hook_resid_mid']);
  expect(selectHooks(graph, ['logits', '*embed', 'hook_embed'])).toEqual(['hook_embed', 'hook_pos_embed', 'logits']);
  expect(selectHooks(graph, (name) => name.endsWith('hook_z'))).toEqual([
    'blocks.0.attn.hook_z',
    'blocks.1.attn.hook_z',
  ]);
  const usual = [...graph.values.values()].filter(({ onDemand }) => !onDemand).map(({ name }) => name);
  expect(selectHooks(graph, '*')).toEqual(usual);
  expect(selectHooks(graph, 'blocks.0.hook_?_input')).toEqual(['q', 'k', 'v'].map((x) => `blocks.0.hook_${x}_input`));
  expect(selectHooks(graph, () => true)).toEqual([...graph.values.keys()]);
  expect(selectHooks(graph, 'blocks.1.mlp.*')).toEqual(['blocks.1.mlp.hook_pre', 'blocks.1.mlp.hook_post']);
  expect(() => selectHooks(graph, 'blocks.12.attn.hook_patern')).toThrow(
    'hooks: no value "blocks.12.attn.hook_patern". This model has blocks 0–1; did you mean "blocks.1.attn.hook_pattern"?',
  );
  expect(() => selectHooks(graph, '')).toThrow('hooks: expected a name or a glob, got an empty one.');
  expect(() => selectHooks(graph, 'blocks.*.atn.hook_z')).toThrow(
    'hooks: no value matches "blocks.*.atn.hook_z". This model has blocks 0–1; did you mean "blocks.0.attn.hook_z"?',
  );
});
