// From numbers to colours that colour-blind people can tell apart: viridis for what begins at 0, a diverging map for what has a sign. One
// table of 256 colours each, the same for both painters.

/** `viridis`: dark to yellow, ordered in brightness. `diverging`: blue below the middle, red above, grey at it. */
export type ColourMap = 'viridis' | 'diverging';

type Rgb = readonly [number, number, number];

/** matplotlib's viridis at 0, 1/9, … 1 (public domain, CC0). */
const VIRIDIS: readonly Rgb[] = [
  [0x44, 0x01, 0x54],
  [0x48, 0x28, 0x78],
  [0x3e, 0x49, 0x89],
  [0x31, 0x68, 0x8e],
  [0x26, 0x82, 0x8e],
  [0x1f, 0x9e, 0x89],
  [0x35, 0xb7, 0x79],
  [0x6e, 0xce, 0x58],
  [0xb5, 0xde, 0x2b],
  [0xfd, 0xe7, 0x25],
];

/** Blue to red through light grey, after ColorBrewer's RdBu (Cynthia Brewer, Apache 2.0), which is safe for the common kinds of colour blindness. */
const DIVERGING: readonly Rgb[] = [
  [0x05, 0x30, 0x61],
  [0x21, 0x66, 0xac],
  [0x43, 0x93, 0xc3],
  [0x92, 0xc5, 0xde],
  [0xd1, 0xe5, 0xf0],
  [0xf7, 0xf7, 0xf7],
  [0xfd, 0xdb, 0xc7],
  [0xf4, 0xa5, 0x82],
  [0xd6, 0x60, 0x4d],
  [0xb2, 0x18, 0x2b],
  [0x67, 0x00, 0x1f],
];

/** Colours in a map. */
export const COLOURS = 256;

/** NaN: a colour of no map. */
export const NAN_COLOUR: Rgb = [0xff, 0x00, 0xff];

const STOPS: Readonly<Record<ColourMap, readonly Rgb[]>> = { viridis: VIRIDIS, diverging: DIVERGING };

/** [256] colours as bytes r, g, b, a: what both painters look up. */
export function colourTable(map: ColourMap): Uint8Array<ArrayBuffer> {
  const stops = STOPS[map];
  const table = new Uint8Array(4 * COLOURS);
  for (let i = 0; i < COLOURS; i++) {
    const x = (i / (COLOURS - 1)) * (stops.length - 1);
    const below = Math.min(Math.floor(x), stops.length - 2);
    for (let c = 0; c < 3; c++) {
      const [from, to] = [stops[below][c], stops[below + 1][c]];
      table[4 * i + c] = Math.round(from + (x - below) * (to - from));
    }
    table[4 * i + 3] = 255;
  }
  return table;
}

/** A CSS colour of a map at x of 0 … 1. */
export function colourAt(map: ColourMap, x: number): string {
  const table = colourTable(map);
  const i = 4 * Math.min(Math.max(Math.floor(x * COLOURS), 0), COLOURS - 1);
  return `rgb(${table[i]} ${table[i + 1]} ${table[i + 2]})`;
}
