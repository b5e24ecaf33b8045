// From what a user passes as input to ids on the GPU, with everything checked before the first GPU call.
import type { ModelConfig } from '../engine/config.ts';
import { kindOf } from './kind_of.ts';

/** Token ids, in an array or in a typed array of integers. */
export type TokenRow =
  | readonly number[]
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** Token ids of one row or of several of equal length, or text. */
export type TokenInput = string | TokenRow | readonly TokenRow[];

export interface TokenBatch {
  readonly batch: number;
  readonly pos: number;
  /** Tokens of each row; less than `pos` where the row is padded behind (only `padRows` does that). */
  readonly lengths: readonly number[];
  /** [batch, pos], row-major. */
  readonly ids: Uint32Array<ArrayBuffer>;
}

/**
 * Checks rows of ids against the model.
 * @throws Error naming the row, the position and what is allowed
 */
export function checkTokens(rows: readonly ArrayLike<number>[], config: ModelConfig): TokenBatch {
  const pos = rows[0]?.length ?? 0;
  if (rows.length === 0 || pos === 0) throw new Error('tokens: the prompt is empty. Give at least one token.');
  if (pos > config.nCtx) {
    throw new Error(
      `tokens: ${pos} tokens are longer than this model's context of ${config.nCtx} (n_ctx). Shorten the text.`,
    );
  }
  const ids = new Uint32Array(rows.length * pos);
  rows.forEach((row, b) => {
    if (row.length !== pos) {
      throw new Error(
        `tokens: rows must have equal lengths; row 0 has ${pos} tokens, row ${b} has ${row.length}. Run them one at a time.`,
      );
    }
    for (let p = 0; p < pos; p++) {
      const id = row[p];
      if (!Number.isInteger(id) || id < 0 || id >= config.dVocab) {
        throw new Error(
          `tokens: token ${p} of row ${b} is ${String(id)}; this model has the integers 0–${config.dVocab - 1}.`,
        );
      }
      ids[b * pos + p] = id;
    }
  });
  return { batch: rows.length, pos, lengths: rows.map(() => pos), ids };
}

/** Rows of different lengths as one batch: padded behind with token 0, which no real position ever looks at. */
export function padRows(rows: readonly ArrayLike<number>[], config: ModelConfig): TokenBatch {
  const checked = rows.map((row) => checkTokens([row], config));
  const pos = Math.max(...checked.map((row) => row.pos));
  const ids = new Uint32Array(rows.length * pos);
  checked.forEach((row, b) => {
    ids.set(row.ids, b * pos);
  });
  return { batch: rows.length, pos, lengths: checked.map((row) => row.pos), ids };
}

/** The rows that an input stands for; `encode` turns text into ids. */
export function tokenRows(
  input: TokenInput,
  encode: (text: string) => readonly number[],
): readonly ArrayLike<number>[] {
  if (input === '') return [];
  if (typeof input === 'string') return [encode(input)];
  if (isIntegers(input)) return [input];
  if (!Array.isArray(input)) throw new Error(`tokens: expected text, number[] or number[][], got ${kindOf(input)}.`);
  const isRow = (row: unknown): row is ArrayLike<number> => Array.isArray(row) || isIntegers(row);
  if (input.some(isRow)) {
    const stranger = input.findIndex((row) => !isRow(row));
    if (stranger >= 0) throw new Error(`tokens: row ${stranger} is ${kindOf(input[stranger])}, expected number[].`);
    return input as readonly ArrayLike<number>[];
  }
  return [input as readonly number[]];
}

/** Any typed array of integers that are numbers: not BigInt, not floats. */
function isIntegers(value: unknown): value is Exclude<TokenRow, readonly number[]> {
  return ArrayBuffer.isView(value) && /^(Int|Uint)(8|16|32)(Clamped)?Array$/.test(kindOf(value));
}

/** The ids of each row, without padding. */
export function idRows({ pos, lengths, ids }: TokenBatch): number[][] {
  return lengths.map((length, row) => Array.from(ids.subarray(row * pos, row * pos + length)));
}
