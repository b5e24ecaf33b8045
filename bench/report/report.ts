// The report: a result as one HTML page that opens from disk. It has no scripts and loads nothing; the plots are pictures by now.
import { formatHead, formatRequirements, formatRuntime, whereItRan } from '../format.ts';
import type { BenchmarkResult } from '../result.ts';
import { summary } from '../summary.ts';
import type { PlotLibrary } from './plot_library.ts';
import { drawPlots, type Figure } from './plots.ts';
import REPORT_STYLE from './report.css?raw';

/** Needs a DOM. */
export function reportHtml(result: BenchmarkResult, plot: PlotLibrary): string {
  const title = headline(result);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${escaped(title)}</title>
<style>
${REPORT_STYLE}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
${reportBody(result, plot)}
</body>
</html>
`;
}

/** Says first what must not be overlooked. */
export function headline({ date, quick, runtimes }: BenchmarkResult): string {
  const adapters = new Set(runtimes.map(({ adapter }) => `${adapter.vendor} ${adapter.architecture}`.trim()));
  const fallback = runtimes.some(({ adapter }) => adapter.isFallback) ? 'fallback adapter ' : '';
  return `Hyaline benchmark, ${date}: ${fallback}${[...adapters].join(', ')}${quick ? ' (quick: not for comparing)' : ''}`;
}

/** What stands below the title: in the report, and in the page that measures. */
export function reportBody(result: BenchmarkResult, plot: PlotLibrary | null): string {
  const runtimes = result.runtimes.map((runtime) => {
    const { text, isFallback } = runtime.adapter;
    const figures = plot ? drawPlots(plot, runtime).map(figureHtml).join('\n') : '';
    return `<section>
<h2>${escaped(whereItRan(runtime))}</h2>
<p${isFallback ? ' class="fallback"' : ''}>${escaped(text)}</p>
<div class="figures">
${figures}
</div>
<details${plot ? '' : ' open'}><summary>Tables</summary>
<pre>${escaped(formatRuntime(runtime).join('\n'))}</pre>
</details>
</section>`;
  });
  const findings = summary(result).map(
    (sentence) => `<li>${escaped(sentence).replace(/\*\*(.*?)\*\*/g, '<strong>$1</strong>')}</li>`,
  );
  return `<pre>${escaped(formatHead(result).join('\n'))}</pre>
<ul>
${findings.join('\n').replace(/`(.*?)`/g, '<code>$1</code>')}
</ul>
<pre>${escaped(formatRequirements(result).join('\n'))}</pre>
${runtimes.join('\n')}`;
}

function figureHtml({ title, caption, picture }: Figure): string {
  return `<article>
<h3>${escaped(title)}</h3>
${picture.outerHTML}
<p>${escaped(caption)}</p>
</article>`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character]);
}
