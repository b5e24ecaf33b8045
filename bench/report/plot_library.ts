// Observable Plot, as far as it is used here, and how it gets into the page: it is installed in this folder alone, and only the page of the
// benchmark needs it, so its builds for script tags are loaded by URL.

/** A part of a plot. */
type Mark = object;
type MakeMark = (data: Iterable<unknown>, options?: object) => Mark;

export interface PlotLibrary {
  plot(options: { readonly marks: readonly Mark[] } & Readonly<Record<string, unknown>>): HTMLElement | SVGSVGElement;
  readonly line: MakeMark;
  readonly dot: MakeMark;
  readonly text: MakeMark;
  readonly link: MakeMark;
  readonly barX: MakeMark;
  readonly ruleX: MakeMark;
  readonly ruleY: MakeMark;
  stackX(options: object): object;
}

declare global {
  var Plot: PlotLibrary | undefined;
}

const SCRIPTS = ['d3/dist/d3.min.js', '@observablehq/plot/dist/plot.umd.min.js'];

/** @param folder URL of this folder's node_modules. @throws Error where it is not installed: the message says what installs it */
export async function loadPlot(folder: string): Promise<PlotLibrary> {
  for (const script of SCRIPTS) if (!globalThis.Plot) await loadScript(`${folder}${script}`);
  if (!globalThis.Plot) throw new Error('plots: Observable Plot is there, but does not say so.');
  return globalThis.Plot;
}

function loadScript(src: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = src;
    script.onload = () => resolve();
    script.onerror = () =>
      reject(new Error('plots: Observable Plot is not installed. `npm run bench -- --page` installs it.'));
    document.head.append(script);
  });
}
