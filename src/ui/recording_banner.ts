// What stands above a recording: that it is one, what it cannot do, and how this browser gets WebGPU.
import { html, nothing, type TemplateResult } from 'lit';
import { View } from './view.ts';

class RecordingBanner extends View {
  override render(): TemplateResult | typeof nothing {
    const { recording, shown } = this.session;
    if (!recording || !shown) return nothing;
    return html`<section class="recording" aria-label="Recording">
      <p><b>This is a recording</b> of one run, with every value bit for bit${recording.adapter ? html` (computed on ${recording.adapter})` : nothing}.
        All of it can be looked at and exported; a new prompt, a change or another model needs WebGPU.
        ${recording.because === null ? nothing : inWords(recording.because)}</p>
    </section>`;
  }
}

/** A message as a sentence: without the part of the engine that it came from. */
function inWords(message: string): string {
  const text = message.replace(/^device: /, '');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

customElements.define('page-recording', RecordingBanner);
