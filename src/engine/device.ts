// Getting a GPUDevice and saying in plain words what it is, in a browser and in Node alike. Nothing is touched at import
// time. Not for making pipelines or buffers.

import { isNode } from './node.ts';
import type { PlanLimits } from './plan.ts';
import { isSoftware } from './software.ts';

/** A limit that the engine's kernels and buffers can use more of than WebGPU's default. */
const USEFUL_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

const USEFUL_FEATURES: readonly GPUFeatureName[] = ['timestamp-query', 'subgroups', 'shader-f16'];

export type LimitName = (typeof USEFUL_LIMITS)[number];

export interface RequestDeviceOptions {
  readonly powerPreference?: GPUPowerPreference;
  /** Ask for a software adapter even where there is hardware. */
  readonly forceFallbackAdapter?: boolean;
  /** Shown in WebGPU's own error messages. Default `hyaline`. */
  readonly label?: string;
  /**
   * `'adapter'` (default): all that the adapter has. `'default'`: WebGPU's guaranteed minimum. An object replaces single
   * limits of the adapter's; WebGPU raises what is below its guaranteed minimum.
   */
  readonly limits?: 'adapter' | 'default' | Readonly<Partial<Record<LimitName, number>>>;
  /** `'adapter'` (default): those of timestamp-query, subgroups and shader-f16 that it has. A list: exactly these. */
  readonly features?: 'adapter' | readonly GPUFeatureName[];
}

/** What a device runs on. `text` says it in plain words. */
export interface AdapterDescription {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** True where shaders run on the CPU (SwiftShader, llvmpipe, WARP). */
  readonly isFallback: boolean;
  readonly text: string;
}

/**
 * A GPUDevice with the adapter's own limits and the useful features that it has.
 *
 * In a browser from `navigator.gpu`; in Node from the `webgpu` package: hardware if there is some, else SwiftShader from an
 * installed Chromium. The device is the caller's: `device.destroy()` frees it.
 *
 * @throws Error beginning with `device: ` when there is no WebGPU or no adapter, with what to try on this platform, or when
 *   `limits` or `features` ask for more than the adapter has.
 * @example
 * const device = await requestDevice();
 * console.log(describeAdapter(device).text);
 */
export async function requestDevice(options: RequestDeviceOptions = {}): Promise<GPUDevice> {
  const adapter = await requestAdapter(options);
  const requiredFeatures = chooseFeatures(adapter.features, options.features ?? 'adapter');
  const requiredLimits = chooseLimits(adapter.limits, options.limits ?? 'adapter');
  const device = await adapter.requestDevice({ label: options.label ?? 'hyaline', requiredFeatures, requiredLimits });
  adapterInfos.set(device, adapter.info);
  return device;
}

// Browsers that have no `device.adapterInfo` yet (Firefox, Safari 18) are remembered here.
const adapterInfos = new WeakMap<GPUDevice, GPUAdapterInfo>();

/**
 * What the device runs on.
 *
 * @example
 * describeAdapter(device).text; // 'google swiftshader (SwiftShader driver 5.0.0): software fallback, runs on the CPU'
 */
export function describeAdapter(device: GPUDevice): AdapterDescription {
  return describeAdapterInfo(adapterInfos.get(device) ?? device.adapterInfo);
}

/** As `describeAdapter`, from the adapter's own words; browsers leave some or all of them empty. */
export function describeAdapterInfo(info: GPUAdapterInfo | undefined): AdapterDescription {
  const { vendor = '', architecture = '', device = '', description = '' } = info ?? {};
  const isFallback = info !== undefined && isSoftware(info);
  const name = `${vendor} ${architecture}`.trim() || 'an adapter that does not name itself';
  const detail = description ? ` (${description})` : '';
  const text = `${name}${detail}: ${isFallback ? 'software fallback, runs on the CPU' : 'hardware'}`;
  return { vendor, architecture, device, description, isFallback, text };
}

async function requestAdapter(options: RequestDeviceOptions): Promise<GPUAdapter> {
  const { powerPreference, forceFallbackAdapter } = options;
  const request: GPURequestAdapterOptions = {};
  if (powerPreference) request.powerPreference = powerPreference;
  if (forceFallbackAdapter) request.forceFallbackAdapter = true;
  const gpu = typeof navigator === 'undefined' ? undefined : (navigator.gpu as GPU | undefined);
  if (gpu) {
    const adapter = await gpu.requestAdapter(request);
    if (!adapter) throw new Error(explainMissing({ ...environment(), missing: 'adapter' }));
    return adapter;
  }
  if (!isNode()) throw new Error(explainMissing({ ...environment(), missing: 'webgpu' }));
  const { requestNodeAdapter } = await import('./dawn.ts'); // no browser loads it
  const adapter = await requestNodeAdapter(request);
  if (!adapter) throw new Error(explainMissing({ ...environment(), missing: 'adapter' }));
  return adapter;
}

function chooseFeatures(has: ReadonlySet<string>, wanted: 'adapter' | readonly GPUFeatureName[]): GPUFeatureName[] {
  if (wanted === 'adapter') return USEFUL_FEATURES.filter((name) => has.has(name));
  const missing = wanted.filter((name) => !has.has(name));
  if (missing.length > 0) {
    const quoted = missing.map((name) => `"${name}"`).join(', ');
    throw new Error(
      `device: features that this adapter does not have: ${quoted}. It has ${[...has].sort().join(', ')}.`,
    );
  }
  return [...wanted];
}

function chooseLimits(
  has: GPUSupportedLimits,
  wanted: NonNullable<RequestDeviceOptions['limits']>,
): Record<string, number> {
  if (wanted === 'default') return {};
  const limits: Record<string, number> = {};
  const problems: string[] = [];
  for (const name of USEFUL_LIMITS) {
    if (typeof has[name] === 'number') limits[name] = has[name];
  }
  if (wanted === 'adapter') return limits;
  for (const [name, value] of Object.entries(wanted)) {
    if (!(USEFUL_LIMITS as readonly string[]).includes(name)) {
      problems.push(`no limit "${name}" (there are ${USEFUL_LIMITS.join(', ')})`);
    } else if (!(value <= limits[name])) {
      problems.push(`${name} of ${value} was asked, this adapter allows ${limits[name]}`);
    }
    limits[name] = value;
  }
  if (problems.length > 0) throw new Error(`device: ${problems.join('; ')}.`);
  return limits;
}

/** Where the program runs, as far as advice depends on it. */
export interface DeviceEnvironment {
  readonly isNode: boolean;
  /** `linux`, `darwin`, `win32`, … in Node; empty in a browser. */
  readonly platform: string;
  /** Empty in Node. */
  readonly userAgent: string;
  /** False on a page served over plain http from another machine: browsers hide WebGPU there. */
  readonly isSecureContext: boolean;
}

function environment(): DeviceEnvironment {
  const inNode = isNode();
  return {
    isNode: inNode,
    platform: inNode ? process.platform : '',
    userAgent: inNode ? '' : navigator.userAgent,
    isSecureContext: inNode || globalThis.isSecureContext !== false,
  };
}

/** The error for a place without WebGPU or without an adapter: what is missing and what to try there. */
export function explainMissing(where: DeviceEnvironment & { readonly missing: 'webgpu' | 'adapter' }): string {
  if (where.isNode) return explainNode(where.platform);
  if (!where.isSecureContext) {
    return 'device: browsers hide WebGPU on insecure pages. Serve this page over https, or open it from http://localhost.';
  }
  const what =
    where.missing === 'webgpu'
      ? 'this browser has no WebGPU (navigator.gpu is missing)'
      : 'this browser has WebGPU but found no adapter (no GPU that it trusts)';
  return `device: ${what}. ${adviseBrowser(where.userAgent)}`;
}

function explainNode(platform: string): string {
  const linux =
    'Install Chromium for SwiftShader, which needs no GPU ("apt-get install chromium" on Debian and Ubuntu), or a Vulkan driver of your GPU (mesa-vulkan-drivers, or NVIDIA\'s) with libvulkan1';
  const advice: Record<string, string> = {
    linux: `${linux}. With Chromium in an unusual place, set CHROME_PATH to its binary.`,
    darwin: 'A Mac with Metal is needed; in a virtual machine, use Chrome instead.',
    win32: 'A graphics driver with Direct3D 12 is needed: update it, or use Chrome instead.',
  };
  return `device: Dawn found no WebGPU adapter in Node on ${platform}. ${advice[platform] ?? 'Use Chrome instead.'}`;
}

function adviseBrowser(userAgent: string): string {
  if (/firefox/i.test(userAgent)) {
    return 'Firefox has WebGPU from 141 on Windows and 145 on macOS with Apple silicon; elsewhere set dom.webgpu.enabled in about:config, or use Chrome.';
  }
  if (/safari/i.test(userAgent) && !/chrome|chromium|crios|edg/i.test(userAgent)) {
    return 'Safari has WebGPU from version 26 (macOS, iOS and iPadOS 26): update it, or use Chrome.';
  }
  if (/linux/i.test(userAgent) && !/android/i.test(userAgent)) {
    return 'On Linux start Chrome with --enable-unsafe-webgpu --enable-features=Vulkan; without a GPU with --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader. chrome://gpu says why.';
  }
  if (/android/i.test(userAgent)) return 'Chrome on Android has WebGPU from version 121 on Android 12 and newer.';
  return 'Use Chrome or Edge 113 or newer, with hardware acceleration on (chrome://settings/system); without a GPU start it with --enable-unsafe-webgpu --use-webgpu-adapter=swiftshader. chrome://gpu says why.';
}

/** What of a device decides about plans. */
export function planLimits(device: GPUDevice): PlanLimits {
  const { limits } = device;
  return {
    maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
    maxBufferSize: limits.maxBufferSize,
    maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    invocations: describeAdapter(device).isFallback ? INVOCATIONS_OF_SOFTWARE : INVOCATIONS_OF_HARDWARE,
  };
}

/** A software adapter runs four invocations in step, on one core: others of their workgroup only wait for them at barriers. */
const INVOCATIONS_OF_SOFTWARE = 4;
const INVOCATIONS_OF_HARDWARE = 64;
