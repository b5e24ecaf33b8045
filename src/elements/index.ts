// `hyaline/elements`: parts of the page to put into other pages, as custom elements. Importing this module registers them.

export { COLOURS, type ColourMap, colourAt, colourTable } from './colours.ts';
export { HyalineElement, THEME } from './element.ts';
export { HyalineLogitLens, type LensSelection } from './logit_lens.ts';
export { type AxisChoice, type Cells, type Colouring, cellsOf, type Picture, type Window } from './picture.ts';
export type { ShownCache, ShownModel, ShownRun } from './shown_run.ts';
export { type ShownValue, shownTensor } from './shown_value.ts';
export { formatMs, formatNumber, formatProbability, quoteToken } from './text.ts';
export { HyalineTokens, type TokenSelection } from './tokens.ts';
