// Pictures of what a view shows: a canvas as PNG, an SVG as a file that looks the same by itself.

export interface PictureFile {
  /** What it shows, as it is labelled for screen readers. */
  readonly label: string;
  readonly kind: 'png' | 'svg';
  save(): Promise<Blob>;
}

/** Smaller ones are icons. */
const SMALLEST_PX = 40;

/** What decides how a shape looks; its descendants inherit all but the first. */
const STYLES = [
  'opacity',
  'color',
  'dominant-baseline',
  'fill',
  'fill-opacity',
  'font-family',
  'font-size',
  'font-weight',
  'stroke',
  'stroke-dasharray',
  'stroke-linecap',
  'stroke-opacity',
  'stroke-width',
  'text-anchor',
  'visibility',
] as const;

/** Canvases and SVGs below an element that can be seen, also in shadow roots. */
export function picturesIn(root: Element): PictureFile[] {
  return [...elementsBelow(root)].flatMap((element): PictureFile[] => {
    const { width, height } = element.getBoundingClientRect();
    if (width < SMALLEST_PX || height < SMALLEST_PX) return [];
    const label = labelOf(element);
    if (element instanceof HTMLCanvasElement) return [{ label, kind: 'png', save: () => pngOf(element) }];
    const isOutermost = element instanceof SVGSVGElement && !element.parentElement?.closest('svg');
    return isOutermost ? [{ label, kind: 'svg', save: async () => svgOf(element) }] : [];
  });
}

function* elementsBelow(root: Element | ShadowRoot): Generator<Element> {
  for (const child of root.children) {
    yield child;
    if (child.shadowRoot) yield* elementsBelow(child.shadowRoot);
    yield* elementsBelow(child);
  }
}

/** The nearest label around an element, through shadow roots. */
function labelOf(element: Element): string {
  const labelled = element.closest('[aria-label]');
  const label = labelled?.getAttribute('aria-label');
  if (label) return label;
  const root = element.getRootNode();
  return root instanceof ShadowRoot ? labelOf(root.host) : element.localName;
}

function pngOf(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('picture: this canvas has no pixels.'))));
  });
}

function svgOf(svg: SVGSVGElement): Blob {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const [from, to] = [svg, copy].map((root) => [root, ...root.querySelectorAll<SVGElement>('*')]);
  from.forEach((shape, i) => {
    writeStyles(shape, to[i], shape === svg ? null : shape.parentElement);
  });
  const { width, height } = svg.getBoundingClientRect();
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('width', String(width));
  copy.setAttribute('height', String(height));
  copy.style.setProperty('background', groundOf(svg));
  return new Blob([new XMLSerializer().serializeToString(copy)], { type: 'image/svg+xml' });
}

/** Gives a copy the styles that the page gives a shape, where they are not those of the shape around it. */
function writeStyles(shape: SVGElement, copy: SVGElement, around: Element | null): void {
  const own = getComputedStyle(shape);
  if (own.display === 'none' || shape.localName === 'style') {
    copy.remove();
    return;
  }
  for (const { name, value } of [...copy.attributes]) {
    if (name === 'class' || value.includes('var(')) copy.removeAttribute(name);
  }
  const outer = around && getComputedStyle(around);
  for (const name of STYLES) {
    const value = own.getPropertyValue(name);
    const inherited = name === 'opacity' ? '1' : outer?.getPropertyValue(name);
    if (value !== inherited) copy.style.setProperty(name, value);
  }
}

/** The first background colour around an element that is one. */
function groundOf(element: Element): string {
  for (let at: Element | null = element; at; at = parentOf(at)) {
    const { backgroundColor } = getComputedStyle(at);
    if (!/^(transparent|rgba\(.*, 0\))$/.test(backgroundColor)) return backgroundColor;
  }
  return 'white';
}

function parentOf(element: Element): Element | null {
  const root = element.getRootNode();
  return element.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
}
