// Numbers, sizes and tables as text for a terminal.

/** Five significant digits, without zeros that say nothing. */
export function formatNumber(value: number): string {
  return String(Number(value.toPrecision(5)));
}

/** A float32 with the fewest digits that no other float32 has. */
export function shortestFloat32(x: number): string {
  const lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9]; // nine tell any two apart
  const digits = lengths.find((length) => Math.fround(Number(x.toPrecision(length))) === x);
  return String(digits === undefined ? x : Number(x.toPrecision(digits)));
}

/** `12.3 MB`: powers of ten, as file sizes are told. */
export function megabytes(bytes: number): string {
  if (bytes < 1e5) return `${bytes} bytes`;
  return bytes < 1e9 ? `${(bytes / 1e6).toPrecision(3)} MB` : `${(bytes / 1e9).toPrecision(3)} GB`;
}

/** `128 MiB`: powers of two, as limits of adapters are; anything that is no multiple is rounded down to one decimal. */
export function binarySize(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${Math.floor((10 * bytes) / 1024 ** unit) / 10} ${units[unit]}`;
}

export type Column = 'left' | 'right';

/** Rows of equal length in aligned columns, two spaces apart; the first row is the heading. */
export function formatTable(rows: readonly (readonly string[])[], columns: readonly Column[]): string {
  const widths = columns.map((_, c) => Math.max(...rows.map((row) => row[c].length)));
  const cell = (text: string, c: number) => (columns[c] === 'left' ? text.padEnd(widths[c]) : text.padStart(widths[c]));
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}
