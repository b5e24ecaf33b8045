// What a run dispatches, as the device saw it: pipelines, bind groups, and how many bytes each dispatch is bound to. So that one
// dispatch can be timed alone, with the engine's own buffers, whatever the engine makes of a model. Knows nothing of plans.

/** One dispatch that can be made again. */
export interface Dispatched {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

export interface Bound {
  /** The buffer's: a weight's name, `transient`, … */
  readonly label: string;
  readonly bytes: number;
}

export interface RecordedDispatch extends Dispatched {
  /** Kernel and value, e.g. `matmul blocks.0.attn.hook_q`. */
  readonly label: string;
  readonly kernel: string;
  /** Storage buffers, in binding order: those after the run's uniforms. */
  readonly bound: readonly Bound[];
}

const entriesOf = new WeakMap<GPUBindGroup, GPUBindGroupEntry[]>();

/** Remembers what bind groups are made of. A run makes them once, so call it before the first. */
export function watchBindGroups(device: GPUDevice): void {
  const createBindGroup = device.createBindGroup.bind(device);
  device.createBindGroup = (descriptor) => {
    const group = createBindGroup(descriptor);
    entriesOf.set(group, [...descriptor.entries]);
    return group;
  };
}

/** @throws Error where the device was not watched when it was made */
export function bindGroupEntries(group: GPUBindGroup): GPUBindGroupEntry[] {
  const entries = entriesOf.get(group);
  if (!entries) throw new Error(`bench: the bind group of ${group.label} was made before the device was watched.`);
  return entries;
}

function boundBuffers(group: GPUBindGroup): Bound[] {
  return bindGroupEntries(group).flatMap(({ resource, binding }) => {
    if (binding === 0 || !('buffer' in resource)) return [];
    const { buffer, offset = 0, size = buffer.size - offset } = resource;
    return [{ label: buffer.label, bytes: size }];
  });
}

/** The dispatches that `f` submits on a watched device. */
export async function recordDispatches(device: GPUDevice, f: () => Promise<unknown>): Promise<RecordedDispatch[]> {
  const recorded: RecordedDispatch[] = [];
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = createCommandEncoder(descriptor);
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (passDescriptor) => {
      const pass = beginComputePass(passDescriptor);
      const [setPipeline, setBindGroup] = [pass.setPipeline.bind(pass), pass.setBindGroup.bind(pass)];
      const dispatchWorkgroups = pass.dispatchWorkgroups.bind(pass);
      let pipeline: GPUComputePipeline | undefined;
      let group: GPUBindGroup | undefined;
      pass.setPipeline = (next) => {
        pipeline = next;
        setPipeline(next);
      };
      pass.setBindGroup = (index: number, next: GPUBindGroup | null | undefined) => {
        group = next ?? undefined;
        setBindGroup(index, next);
      };
      pass.dispatchWorkgroups = (x, y = 1, z = 1) => {
        if (!pipeline || !group) throw new Error('bench: a dispatch without a pipeline or a bind group.');
        const { label } = group;
        const bound = boundBuffers(group);
        recorded.push({ label, kernel: label.split(' ')[0], pipeline, group, bound, workgroups: [x, y, z] });
        dispatchWorkgroups(x, y, z);
      };
      return pass;
    };
    return encoder;
  };
  try {
    await f();
  } finally {
    device.createCommandEncoder = createCommandEncoder;
  }
  return recorded;
}
