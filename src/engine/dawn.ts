// A `GPU` object in Node, by Dawn (the `webgpu` package): on hardware where there is some and on Chromium's SwiftShader where there
// is not. Not for browsers: bundles load this file only where it is asked for.

import { nodeModule } from './node.ts';
import { isSoftware } from './software.ts';

interface DawnModule {
  create(flags: string[]): GPU;
  globals: Record<string, unknown>;
}

/** Where Chromium keeps SwiftShader and its own Vulkan loader. */
interface SwiftShader {
  readonly icdPath: string;
  /** Chromium's `libvulkan.so.1`, when it ships one beside SwiftShader. */
  readonly loaderPath: string | null;
}

const RTLD_NODELETE = 0x1000;
const SWIFTSHADER_ICD = 'vk_swiftshader_icd.json';

// Dawn crashes when a GPU object is collected while its adapters live: whatever was made stays referenced.
const keptAlive: GPU[] = [];
let warned = false;
let leavesCores = false;

/**
 * An adapter of Dawn in Node (the `webgpu` package), or null when there is none.
 *
 * A hardware Vulkan, Metal or D3D adapter if there is one; otherwise, on Linux, SwiftShader from an installed Chromium or
 * Chrome, which is said on stderr once. `forceFallbackAdapter` skips the hardware. A `VK_ICD_FILENAMES` or
 * `VK_DRIVER_FILES` that is already set is respected.
 */
export async function requestNodeAdapter(options: GPURequestAdapterOptions): Promise<GPUAdapter | null> {
  const adapter = await findAdapter(options);
  if (adapter && isSoftware(adapter.info)) leaveCoresToAdapter();
  return adapter;
}

async function findAdapter(options: GPURequestAdapterOptions): Promise<GPUAdapter | null> {
  const dawn = await importDawn();
  Object.assign(globalThis, dawn.globals); // GPUBufferUsage and the like, as in a browser
  if (process.platform !== 'linux') return createGpu(dawn).requestAdapter(options);

  const swiftShader = findSwiftShader();
  loadVulkan(swiftShader);
  const driversChosen = Boolean(process.env.VK_ICD_FILENAMES || process.env.VK_DRIVER_FILES);
  if (driversChosen) return createGpu(dawn).requestAdapter(options);

  // Asking Vulkan on a machine without any driver makes Dawn print warnings about it: ask only where there may be one.
  let adapter: GPUAdapter | null = null;
  if (hasVulkanDriver() && !options.forceFallbackAdapter) adapter = await createGpu(dawn).requestAdapter(options);
  if (adapter && !isSoftware(adapter.info)) return adapter;
  if (!swiftShader) return adapter ?? createGpu(dawn).requestAdapter(options);

  // The Vulkan loader reads the variable when an instance is made, which Dawn does at the first request.
  process.env.VK_ICD_FILENAMES = swiftShader.icdPath;
  try {
    adapter = await createGpu(dawn).requestAdapter(options);
  } finally {
    delete process.env.VK_ICD_FILENAMES;
  }
  if (adapter && !warned && !options.forceFallbackAdapter) {
    warned = true;
    const folder = nodeModule('node:path').dirname(swiftShader.icdPath);
    console.warn(`hyaline: no GPU found; using SwiftShader from ${folder} (software, runs on the CPU)`);
  }
  return adapter;
}

async function importDawn(): Promise<DawnModule> {
  const name = 'webgpu'; // a variable: bundlers for browsers must not follow it
  try {
    return (await import(/* @vite-ignore */ name)) as DawnModule;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const target = `${process.platform}-${process.arch}`;
    throw new Error(
      `device: the "webgpu" package (Dawn for Node) cannot be loaded on ${target}: ${reason}. Run "npm install webgpu", or use Chrome.`,
      { cause },
    );
  }
}

function createGpu(dawn: DawnModule): GPU {
  const gpu = dawn.create([]);
  keptAlive.push(gpu);
  return gpu;
}

/** Between two of Dawn's questions. Short against a dispatch, long against the question itself (some microseconds). */
const NAP_MS = 0.1;

/**
 * While something is awaited, Dawn asks in each turn of the event loop (`setImmediate`) whether it is there, and keeps a core busy
 * with that (crbug.com/dawn/1127): on two cores half of what a software adapter computes with. So there is a nap before each question.
 * Dawn's callbacks are native functions; those in JavaScript are left alone.
 */
function leaveCoresToAdapter(): void {
  if (leavesCores) return;
  leavesCores = true;
  const never = new Int32Array(new SharedArrayBuffer(4));
  const isNative = (f: unknown) => typeof f === 'function' && f.name === '' && /\[native code\]/.test(String(f));
  globalThis.setImmediate = new Proxy(globalThis.setImmediate, {
    apply(setImmediate, self, [callback, ...rest]) {
      if (!isNative(callback)) return Reflect.apply(setImmediate, self, [callback, ...rest]);
      const askAfterNap = () => {
        Atomics.wait(never, 0, 0, NAP_MS);
        callback(...rest);
      };
      return Reflect.apply(setImmediate, self, [askAfterNap]);
    },
  });
}

/**
 * Makes the Vulkan loader known to Dawn: the system's, or else the one that Chromium ships. `process.dlopen` complains that
 * the library is no Node addon, but it stays loaded, and Dawn's own `dlopen("libvulkan.so.1")` then finds it by its name.
 */
function loadVulkan(swiftShader: SwiftShader | null): void {
  const flags = nodeModule('node:os').constants.dlopen.RTLD_NOW | RTLD_NODELETE;
  for (const path of ['libvulkan.so.1', swiftShader?.loaderPath]) {
    if (!path) continue;
    try {
      process.dlopen({ exports: {} }, path, flags);
      return;
    } catch (error) {
      if (error instanceof Error && error.message.includes('did not self-register')) return;
    }
  }
}

function hasVulkanDriver(): boolean {
  const fs = nodeModule('node:fs');
  const home = nodeModule('node:os').homedir();
  const dataFolders = (process.env.XDG_DATA_DIRS || '/usr/local/share:/usr/share').split(':');
  const folders = ['/etc', '/etc/xdg', `${home}/.config`, `${home}/.local/share`, ...dataFolders];
  return folders.some((folder) => {
    const drivers = `${folder}/vulkan/icd.d`;
    return fs.existsSync(drivers) && fs.readdirSync(drivers).some((file) => file.endsWith('.json'));
  });
}

/** SwiftShader beside a Chromium or Chrome of this machine, or null. */
function findSwiftShader(): SwiftShader | null {
  const fs = nodeModule('node:fs');
  const path = nodeModule('node:path');
  for (const folder of chromeFolders()) {
    const icdPath = path.join(folder, SWIFTSHADER_ICD);
    if (!fs.existsSync(icdPath)) continue;
    const loaderPath = path.join(folder, 'libvulkan.so.1');
    return { icdPath, loaderPath: fs.existsSync(loaderPath) ? loaderPath : null };
  }
  return null;
}

function chromeFolders(): string[] {
  const fs = nodeModule('node:fs');
  const path = nodeModule('node:path');
  const home = nodeModule('node:os').homedir();
  const folders: string[] = [];
  const addBeside = (binary: string) => {
    if (fs.existsSync(binary)) folders.push(path.dirname(fs.realpathSync(binary)));
  };
  if (process.env.CHROME_PATH) addBeside(process.env.CHROME_PATH);
  folders.push(
    '/usr/lib/chromium',
    '/usr/lib/chromium-browser',
    '/usr/lib64/chromium-browser',
    '/opt/google/chrome',
    '/opt/chromium.org/chromium',
    '/snap/chromium/current/usr/lib/chromium-browser',
  );
  const cache = process.env.PUPPETEER_CACHE_DIR || path.join(home, '.cache', 'puppeteer');
  for (const browser of ['chrome', 'chrome-headless-shell']) {
    const versions = path.join(cache, browser);
    if (!fs.existsSync(versions)) continue;
    for (const version of fs.readdirSync(versions)) {
      const parent = path.join(versions, version);
      if (!fs.statSync(parent, { throwIfNoEntry: false })?.isDirectory()) continue;
      for (const build of fs.readdirSync(parent)) folders.push(path.join(parent, build));
    }
  }
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    for (const name of ['chromium', 'chromium-browser', 'google-chrome', 'chrome']) addBeside(path.join(folder, name));
  }
  return folders;
}
