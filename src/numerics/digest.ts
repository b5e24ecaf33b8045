// Fingerprints of values: whether two runs gave the same bits is then a comparison of two short texts, on any two machines. Where they
// differ is told by `compare.ts`.
import { type NamedValues, namedValues } from './named_values.ts';

export interface ValueDigest {
  readonly name: string;
  readonly shape: readonly number[];
  /** Of the float32 numbers, row-major, little-endian: 64 hexadecimal digits. */
  readonly sha256: string;
}

export interface ValueDigests {
  /** In firing order. */
  readonly values: readonly ValueDigest[];
  /** Of all: the SHA-256 of their lines. */
  readonly total: string;
}

/**
 * The SHA-256 of every value's bits as they are read (masked scores as −Infinity), and one for all of them: that of the UTF-8 text
 * that has for each value, in firing order, the line `name [size, size, …] sha256`, each ended by a line feed. For the values that
 * `hyaline trace --out` wrote, Python gives a line as
 * `f'{name} {list(x.shape)} {hashlib.sha256(x.tobytes()).hexdigest()}\n'`, and `sha256sum` the total of a file of such lines.
 *
 * Reads one value at a time.
 * @throws Error where a value is not float32, or where there is no `crypto.subtle`
 * @example
 * const { values, total } = await digestValues(cache);
 * values[0]; // { name: 'hook_embed', shape: [1, 6, 128], sha256: '5d1c…' }
 */
export async function digestValues(values: NamedValues): Promise<ValueDigests> {
  const digests: ValueDigest[] = [];
  for (const { name, shape, dtype, readBytes } of namedValues(values, 'digest').values()) {
    if (dtype !== 'F32') throw new Error(`digest: ${name} is ${dtype}; digests are of float32 numbers (F32).`);
    digests.push({ name, shape, sha256: await sha256(await readBytes()) });
  }
  const lines = digests.map((digest) => `${digest.name} [${digest.shape.join(', ')}] ${digest.sha256}\n`);
  return { values: digests, total: await sha256(new TextEncoder().encode(lines.join(''))) };
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  // Absent in insecure contexts, whatever the types say.
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (!subtle) {
    throw new Error(
      'digest: there is no crypto.subtle here; browsers have it in secure contexts only. Open the page by https or on localhost.',
    );
  }
  return Array.from(new Uint8Array(await subtle.digest('SHA-256', bytes)), hexByte).join('');
}

const hexByte = (byte: number) => byte.toString(16).padStart(2, '0');
