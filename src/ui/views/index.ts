// The tabs of the page. Each view's code is loaded when it is first looked at.
import type { ViewName } from '../state.ts';

export interface ViewEntry {
  readonly title: string;
  /** The element that shows it. */
  readonly tag: string;
  readonly load: () => Promise<unknown>;
}

export const VIEW_ENTRIES: Readonly<Partial<Record<ViewName, ViewEntry>>> = {
  model: { title: 'Model', tag: 'view-model', load: () => import('./model.ts') },
  value: { title: 'Value', tag: 'view-value', load: () => import('./value.ts') },
  attention: { title: 'Attention', tag: 'view-attention', load: () => import('./attention.ts') },
  lens: { title: 'Logit lens', tag: 'view-lens', load: () => import('./lens.ts') },
  attribution: { title: 'Attribution', tag: 'view-attribution', load: () => import('./attribution.ts') },
  numerics: { title: 'Numbers', tag: 'view-numerics', load: () => import('./numerics.ts') },
  measure: { title: 'Measure', tag: 'view-measure', load: () => import('./measure.ts') },
  tour: { title: 'Tour', tag: 'view-tour', load: () => import('./tour.ts') },
  patching: { title: 'Patching', tag: 'view-patching', load: () => import('./patching.ts') },
  generate: { title: 'Generate', tag: 'view-generate', load: () => import('./generate.ts') },
};
