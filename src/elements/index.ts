// `hyaline/elements`: parts of the page to put into other pages, as custom elements. Importing this module registers them.

export { type AttentionSelection, HyalineAttention } from './attention.ts';
export { COLOURS, type ColourMap, colourAt, colourTable } from './colours.ts';
export { HyalineElement, THEME } from './element.ts';
export { shortestDecimal } from './float32_text.ts';
export { GpuPainter, type GpuPainterOptions, type GpuPicture } from './gpu_painter.ts';
export type { HeadScore } from './head_scores.ts';
export { type DeviceOwner, HyalineHeatmap, type ShownView } from './heatmap.ts';
export type { AxisLabels } from './heatmap_view.ts';
export { HyalineLogitLens, type LensSelection } from './logit_lens.ts';
export type { Size } from './painting.ts';
export {
  type AxisChoice,
  type Cells,
  type Colouring,
  cellsOf,
  type Picture,
  type Rectangle,
  type Window,
  wholeWindow,
} from './picture.ts';
export { PixelPainter, type PixelPicture, paintPixels } from './pixel_painter.ts';
export type { ShownCache, ShownModel, ShownRun } from './shown_run.ts';
export { type ShownValue, shownTensor } from './shown_value.ts';
export { formatMs, formatNumber, formatProbability, quoteToken } from './text.ts';
export { HyalineTokens, type TokenSelection } from './tokens.ts';

export { HyalineValue, type Shows } from './value.ts';
export type { PointedNumber } from './value_numbers.ts';
