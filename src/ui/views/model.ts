// The model as a map: every value that has a name, in the order in which the pass makes them, with its live statistics.
import { html } from 'lit';
import { formatNumber } from '../../elements/index.ts';
import { View } from '../view.ts';

class ModelView extends View {
  override render() {
    const { run } = this;
    if (!run) return html`<p class="muted">There is no run yet.</p>`;
    return html`<table><tbody>${run.cache.names.map((name) => {
      const result = this.later(run, name, () => run.statistics(name));
      return html`<tr><td class="name">${name}</td><td>${result.state === 'done' ? formatNumber(result.value.std) : ''}</td></tr>`;
    })}</tbody></table>`;
  }
}

customElements.define('view-model', ModelView);
