// A model as a map: which of its values lie on the residual stream and which on the branches that leave it and are added to it again. Read
// from names and their firing order alone, so every architecture draws itself. No DOM, no numbers here.

/** One value's place. */
export interface Place {
  readonly name: string;
  /** The name beside its block and module: `q` of `blocks.0.attn.hook_q`. */
  readonly shortName: string;
}

/** Neighbours on a branch that belong to one module: `ln1`, `attn`; '' for values of the block itself. */
export interface PlaceGroup {
  readonly module: string;
  readonly places: readonly Place[];
}

/** A value of the residual stream, and what reads it before the next one. */
export interface Stage {
  /** Null before there is a stream, and behind its end. */
  readonly stream: Place | null;
  readonly branch: readonly PlaceGroup[];
  /** What the branch adds to the stream; null where nothing is added. */
  readonly sum: Place | null;
}

export interface MapSection {
  readonly title: string;
  /** Null outside of the blocks. */
  readonly layer: number | null;
  readonly stages: readonly Stage[];
}

/**
 * @param names of a model's values, in firing order
 * @example
 * const [embedding, block] = mapOf(model.hooks.map(({ name }) => name));
 * block.stages[0].stream?.shortName; // 'resid_pre'
 * block.stages[0].sum?.shortName; // 'attn_out'
 */
export function mapOf(names: readonly string[]): MapSection[] {
  const sections: { layer: number | null; names: string[] }[] = [];
  for (const name of names) {
    const { layer } = parse(name);
    if (sections.at(-1)?.layer !== layer) sections.push({ layer, names: [] });
    sections.at(-1)?.names.push(name);
  }
  return sections.map(({ layer, names }, i) => {
    const end = i === 0 ? 'embedding' : 'unembedding';
    return { title: layer === null ? end : `block ${layer}`, layer, stages: stagesOf(names, layer !== null) };
  });
}

/** What stands for a section that is folded: what its branches add, and the stream at its end. */
export function summaryOf({ stages }: MapSection): Place[] {
  return [...stages.map(({ sum }) => sum), stages.at(-1)?.stream ?? null].filter((place) => place !== null);
}

export function placesOf({ stages }: MapSection): Place[] {
  return stages.flatMap(({ stream, branch, sum }) => [
    ...(stream ? [stream] : []),
    ...branch.flatMap(({ places }) => places),
    ...(sum ? [sum] : []),
  ]);
}

function parse(name: string) {
  const [, layer, module = '', hook] = /^(?:blocks\.(\d+)\.)?(?:(.+)\.)?([^.]+)$/.exec(name) ?? [];
  return { layer: layer === undefined ? null : Number(layer), module, shortName: (hook ?? name).replace(/^hook_/, '') };
}

function stagesOf(names: readonly string[], isBlock: boolean): Stage[] {
  const stages: { stream: Place | null; names: string[] }[] = [];
  for (const name of names) {
    const { module, shortName } = parse(name);
    const isStream = isBlock && module === '' && shortName.startsWith('resid_');
    if (isStream) stages.push({ stream: { name, shortName }, names: [] });
    else if (stages.length === 0) stages.push({ stream: null, names: [name] });
    else stages.at(-1)?.names.push(name);
  }
  return stages.map(({ stream, names }, i) => {
    const branch = groupsOf(names);
    const last = branch.at(-1);
    const isSum = stream !== null && i + 1 < stages.length && last?.module === '';
    if (!isSum || !last) return { stream, branch, sum: null };
    const sum = last.places.at(-1) ?? null;
    const rest = { ...last, places: last.places.slice(0, -1) };
    return { stream, branch: [...branch.slice(0, -1), ...(rest.places.length > 0 ? [rest] : [])], sum };
  });
}

/** By module, in the order of their first values; values of the block itself stand where they fire. */
function groupsOf(names: readonly string[]): PlaceGroup[] {
  const groups: { module: string; places: Place[] }[] = [];
  for (const name of names) {
    const { module, shortName } = parse(name);
    const known = module === '' ? groups.at(-1) : groups.find((group) => group.module === module);
    if (known?.module === module) known.places.push({ name, shortName });
    else groups.push({ module, places: [{ name, shortName }] });
  }
  return groups;
}
