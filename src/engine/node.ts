// Whether this is Node, and its built-in modules without a `node:` import: bundlers for browsers see none. Dawn is in `dawn.ts`.

/** True in Node, false in a browser. */
export function isNode(): boolean {
  return typeof process !== 'undefined' && typeof process.versions?.node === 'string' && typeof window === 'undefined';
}

type BuiltinModules = {
  'node:fs': typeof import('node:fs');
  'node:fs/promises': typeof import('node:fs/promises');
  'node:os': typeof import('node:os');
  'node:path': typeof import('node:path');
  'node:url': typeof import('node:url');
};

/** A built-in module of Node, e.g. `nodeModule('node:fs')`. Call it only where `isNode()`. */
export function nodeModule<Name extends keyof BuiltinModules>(name: Name): BuiltinModules[Name] {
  if (typeof process.getBuiltinModule !== 'function') {
    throw new Error(`node: Node 20.16 or newer is needed, this is ${process.version}. Install a newer Node.`);
  }
  return process.getBuiltinModule(name) as unknown as BuiltinModules[Name];
}
