// The contents of the guided tour. The steps themselves stand beside the views that they are about (`../tour.ts`).
import { html } from 'lit';
import { LESSONS } from '../lessons/index.ts';
import { stateOfStep } from '../tour.ts';
import { View } from '../view.ts';

class TourView extends View {
  override render() {
    return html`<p>Five short lessons on the two embedded models. Each states the numbers to expect, checks them here and now, and ends with a
      click of your own. Nothing is acted out: every number comes from a run on this machine.</p>
      <ol class="lessons">${LESSONS.map(
        ({ title, about, model, steps }, i) => html`<li>
          <button class="lesson" aria-current=${i === this.state.lesson} @click=${() => this.change(stateOfStep(i, 0))}>
            <b>${title}</b> <span>${about}</span> <span class="muted">${model}, ${steps.length} steps</span></button></li>`,
      )}</ol>`;
  }
}

customElements.define('view-tour', TourView);
