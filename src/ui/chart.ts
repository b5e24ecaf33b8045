// Observable Plot, with what assistive technology needs: Plot names the groups of its marks, and names mean nothing without a role.
import { type PlotOptions, plot } from '@observablehq/plot';

/** As Plot's own `plot`. */
export function drawChart(options: PlotOptions): ReturnType<typeof plot> {
  const chart = plot(options);
  for (const group of chart.querySelectorAll('g[aria-label]')) group.setAttribute('role', 'group');
  return chart;
}
