// Which adapters are software. Not for asking for one.

/** Whether an adapter computes on the CPU, by its own word or by its name. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  if (info.isFallbackAdapter) return true;
  const name = `${info.architecture} ${info.device} ${info.description}`;
  return /swiftshader|llvmpipe|lavapipe|microsoft basic render/i.test(name);
}
