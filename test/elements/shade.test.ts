import { expect, test } from 'vitest';
import { COLOURS } from '../../src/elements/colours.ts';
import { colouringOf, shade } from '../../src/elements/shade.ts';

/** WCAG 2.2, relative luminance. */
function luminance(css: string): number {
  const [r, g, b] = (css.match(/\d+/g) ?? []).map((byte) => {
    const c = Number(byte) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

test.each(['viridis', 'diverging'] as const)('text on every colour of %s has a contrast of at least 4.5 : 1', (map) => {
  const contrasts = Array.from({ length: COLOURS + 1 }, (_, i) => {
    const style = shade({ map, low: 0, high: 1 }, i === COLOURS ? Number.NaN : i / (COLOURS - 1));
    const ink = style.color === '#000' ? 0 : 1;
    const ground = luminance(style['background-color']);
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  });
  expect(Math.min(...contrasts)).toBeGreaterThanOrEqual(4.5);
});

test('a number outside of the range has the colour of its end', () => {
  const colouring = { map: 'viridis', low: -1, high: 1 } as const;
  expect(shade(colouring, -9)).toEqual(shade(colouring, -1));
  expect(shade(colouring, Number.POSITIVE_INFINITY)).toEqual(shade(colouring, 1));
  expect(shade(colouring, -1)).toEqual({ 'background-color': 'rgb(68 1 84)', color: '#fff' });
  expect(shade(colouring, 1)).toEqual({ 'background-color': 'rgb(253 231 37)', color: '#000' });
});

test('numbers are coloured from 0, or around it where some are negative', () => {
  expect(colouringOf([2, 0.5, Number.NaN])).toEqual({ map: 'viridis', low: 0, high: 2 });
  expect(colouringOf([2, -3, Number.POSITIVE_INFINITY])).toEqual({ map: 'diverging', low: -3, high: 3 });
  expect(colouringOf([])).toEqual({ map: 'viridis', low: 0, high: 0 });
});
