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
  /** Storage buffers, in binding order; empty where the bind group was made before. */
  readonly bound: readonly Bound[];
}

/**
 * The dispatches that `f` submits. To know what they are bound to, record the first run of its kind: later ones use its bind groups.
 */
export async function recordDispatches(device: GPUDevice, f: () => Promise<unknown>): Promise<RecordedDispatch[]> {
  const recorded: RecordedDispatch[] = [];
  const boundTo = new WeakMap<GPUBindGroup, Bound[]>();
  const createBindGroup = device.createBindGroup.bind(device);
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createBindGroup = (descriptor) => {
    const group = createBindGroup(descriptor);
    const buffers = [...descriptor.entries].slice(1).flatMap(({ resource }) => {
      return 'buffer' in resource
        ? [{ label: resource.buffer.label, bytes: resource.size ?? resource.buffer.size }]
        : [];
    });
    boundTo.set(group, buffers);
    return group;
  };
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
        const bound = boundTo.get(group) ?? [];
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
    device.createBindGroup = createBindGroup;
    device.createCommandEncoder = createCommandEncoder;
  }
  return recorded;
}
