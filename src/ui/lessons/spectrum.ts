// The discrete Fourier transform of something that runs over the numbers modulo p, in float64: p is small, so it is the sum itself.

export interface Frequency {
  readonly frequency: number;
  /** Of all variance over the numbers: those of 1 … (p − 1)/2 add up to 1. */
  readonly share: number;
  /** Two orthogonal unit vectors of the columns that carry it, four decimals each; a link holds them. */
  readonly directions: readonly (readonly number[])[];
}

/**
 * How much of a matrix [p, columns] varies with each frequency along its rows; p is odd.
 * @example
 * spectrumOf(cosines, { p: 113, columns: 1 }); // where cosines[a] = cos(2π·11·a/113): the share of frequency 11 is 1
 */
export function spectrumOf(data: ArrayLike<number>, { p, columns }: { p: number; columns: number }): Frequency[] {
  const project = (wave: (row: number) => number) => {
    const sum = new Float64Array(columns);
    for (let row = 0; row < p; row++) {
      const factor = wave(row);
      for (let i = 0; i < columns; i++) sum[i] += factor * data[row * columns + i];
    }
    return sum;
  };
  const waves = Array.from({ length: (p - 1) / 2 }, (_, i) => {
    const angle = (row: number) => (2 * Math.PI * (i + 1) * row) / p;
    const [cosine, sine] = [project((row) => Math.cos(angle(row))), project((row) => Math.sin(angle(row)))];
    return { frequency: i + 1, cosine, sine, power: dot(cosine, cosine) + dot(sine, sine) };
  });
  const total = waves.reduce((sum, { power }) => sum + power, 0);
  return waves.map(({ frequency, cosine, sine, power }) => {
    const along = dot(cosine, sine) / dot(cosine, cosine);
    const across = sine.map((x, i) => x - along * cosine[i]);
    return { frequency, share: power / total, directions: [cosine, across].map(unit) };
  });
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, x, i) => sum + x * b[i], 0);
}

function unit(vector: Float64Array): number[] {
  const norm = Math.sqrt(dot(vector, vector));
  return Array.from(vector, (x) => Number((x / norm).toFixed(4)));
}
