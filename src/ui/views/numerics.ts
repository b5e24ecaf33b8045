// How right the numbers are: errors against float64, digests against recorded ones, what the adapter does to float32, and what other number
// formats would do.
import { html } from 'lit';
import { NumericsClient } from '../numerics_client.ts';
import { View } from '../view.ts';
import './numerics_adapter.ts';
import './numerics_digests.ts';
import './numerics_errors.ts';
import './numerics_study.ts';

class NumericsView extends View {
  override connectedCallback(): void {
    super.connectedCallback();
    NumericsClient.of(this.session).watch(true);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    NumericsClient.of(this.session).watch(false);
  }

  override render() {
    if (!this.run) return html`<p class="muted">There is no run yet.</p>`;
    return html`
      <numerics-errors .session=${this.session}></numerics-errors>
      <numerics-digests .session=${this.session}></numerics-digests>
      <numerics-study .session=${this.session}></numerics-study>
      <numerics-adapter .session=${this.session}></numerics-adapter>`;
  }
}

customElements.define('view-numerics', NumericsView);
