// The dialog behind "Keep and share". What it makes is made on this machine; nothing is sent anywhere.
import { html, nothing, type TemplateResult } from 'lit';
import { digestValues } from '../index.ts';
import { codeOf } from './code.ts';
import { download } from './download.ts';
import { blobOf, csvParts, jsonParts, valuesFile } from './export.ts';
import type { PageRun } from './page_run.ts';
import { type PictureFile, picturesIn } from './pictures.ts';
import { type Later, View } from './view.ts';

/** Also what the view of numbers asks for: computed once. */
const DIGESTS = 'digests';

class KeepDialog extends View {
  static override properties = { ...View.properties, said: { state: true }, wantsDigest: { state: true } };
  /** What the last button did. */
  declare said: string;
  declare wantsDigest: boolean;

  constructor() {
    super();
    this.said = '';
    this.wantsDigest = false;
  }

  async open(): Promise<void> {
    this.said = '';
    await this.updateComplete;
    this.querySelector('dialog')?.showModal();
    this.requestUpdate(); // the pictures of the view behind it
  }

  override render(): TemplateResult {
    const { run } = this;
    return html`<dialog aria-labelledby="keep-title" @click=${this.closeOutside}>
      <form method="dialog" class="row"><h2 id="keep-title">Keep and share</h2><button aria-label="Close">✕</button></form>
      <p id="keep-said" class="muted" role="status">${this.said}</p>
      ${run ? html`${this.share(run)}${this.values(run)}${this.pictures()}${this.code()}` : nothing}
      ${this.recordings(run)}
    </dialog>`;
  }

  private closeOutside(event: MouseEvent): void {
    const dialog = event.currentTarget as HTMLDialogElement;
    if (event.target === dialog) dialog.close(); // its backdrop
  }

  private share(run: PageRun): TemplateResult {
    const digest: Later<string> | null = this.wantsDigest ? this.digest(run) : null;
    const text = digest?.state === 'done' ? digest.value : digest?.state === 'failed' ? digest.message : 'computing …';
    return html`<h3>Link</h3>
      <p>All that is on screen is in the address: whoever opens it sees the same${run.numerics === 'reproducible' ? ', bit for bit, on any adapter' : ''}.
        What stands behind the # is sent to no server.</p>
      <div class="row"><button id="copy-link" @click=${this.copyLink}>Copy link</button>
        ${digest ? html`<span>SHA-256 of all values <code id="digest">${text}</code></span>` : html`<button id="show-digest" @click=${() => (this.wantsDigest = true)}>Digest of all values</button>`}</div>`;
  }

  private digest(run: PageRun): Later<string> {
    return this.later(run, DIGESTS, async () => {
      const { total } = await run.analysis(DIGESTS, (_, cache) => digestValues(cache));
      return total;
    });
  }

  private values(run: PageRun): TemplateResult {
    const { hook } = this.state;
    const has = run.cache.has(hook);
    const { names } = run.cache;
    const name = hook.replaceAll('.', '_');
    const safetensors = (of: readonly string[]) => () => this.valuesFile(run, of);
    const text = (parts: typeof csvParts, type: string) => async () =>
      blobOf(parts(await run.cache.get(hook).read()), type);
    return html`<h3>Values</h3>
      <p>float32 as it was computed, batch axis included. CSV and JSON have nine digits, which give each number back.</p>
      <div class="row"><span class="name">${hook}</span>
        ${this.saver('safetensors', `${name}.safetensors`, safetensors([hook]), has)}
        ${this.saver('JSON', `${name}.json`, text(jsonParts, 'application/json'), has)}
        ${this.saver('CSV', `${name}.csv`, text(csvParts, 'text/csv'), has)}</div>
      <div class="row"><span>all ${names.length} values</span>
        ${this.saver('safetensors', 'values.safetensors', safetensors(names))}</div>`;
  }

  private async valuesFile(run: PageRun, names: readonly string[]): Promise<Blob> {
    const { session } = this;
    const { shownState: state } = session;
    const adapter = session.recording?.adapter ?? session.adapterText;
    return new Blob([await valuesFile(run, names, { state, adapter })]);
  }

  private pictures(): TemplateResult {
    const view = document.querySelector('#view');
    const pictures = view ? picturesIn(view) : [];
    const saver = ({ label, kind, save }: PictureFile, i: number) =>
      html`<li>${this.saver(kind.toUpperCase(), `${this.state.view}-${i + 1}.${kind}`, save)} ${label}</li>`;
    return html`<h3>Pictures of this view</h3>
      ${pictures.length === 0 ? html`<p class="muted">There are none on this tab.</p>` : html`<ul class="pictures">${pictures.map(saver)}</ul>`}`;
  }

  private code(): TemplateResult {
    let text: string;
    try {
      text = this.program();
    } catch (error) {
      return html`<h3>Code</h3><p class="problem">${error instanceof Error ? error.message : error}</p>`;
    }
    return html`<h3>Code</h3><p>The same with the library, in Node or a browser.</p>
      <pre id="code" tabindex="0" aria-label="Program">${text}</pre>
      <div class="row"><button id="copy-code" @click=${() => this.copy(text, 'The program')}>Copy as code</button></div>`;
  }

  private program(): string {
    const { runs, shown, model } = this.session;
    const ids = (run: PageRun | null) => (shown?.tokenizer ? null : (run?.ids ?? null));
    return codeOf({
      state: this.session.shownState,
      ids: ids(runs.before),
      secondIds: ids(runs.second),
      hookNames: (hook) => model?.hookNames(hook) ?? [hook],
    });
  }

  private recordings(run: PageRun | null): TemplateResult {
    const save = async () => {
      const { recordSession } = await import('./recording.ts');
      return new Blob([await recordSession(this.session)]);
    };
    return html`<h3>Recording</h3>
      <p>One safetensors file with every value and what the views have computed. It opens in any browser, also without WebGPU.</p>
      <div class="row">${run ? this.saver('Save a recording', 'recording.safetensors', save) : nothing}
        <label>Open one <input type="file" id="open-recording" accept=".safetensors" @change=${this.openRecording}></label></div>`;
  }

  private readonly openRecording = async (event: Event): Promise<void> => {
    const input = event.target as HTMLInputElement;
    const [file] = input.files ?? [];
    input.value = ''; // the same file may be chosen again
    if (!file) return;
    this.querySelector('dialog')?.close();
    await this.session.openRecording(file);
  };

  /** A button that makes a file and saves it. */
  private saver(label: string, file: string, make: () => Promise<Blob>, isEnabled = true): TemplateResult {
    const save = async () => {
      this.said = `Making ${file} …`;
      try {
        download(file, await make());
        this.said = `Saved ${file}.`;
      } catch (error) {
        this.said = `${file} could not be made: ${error instanceof Error ? error.message : error}`;
      }
    };
    return html`<button data-file=${file} ?disabled=${!isEnabled} @click=${save}>${label}</button>`;
  }

  private readonly copyLink = (): Promise<void> => this.copy(location.href, 'The link');

  private async copy(text: string, what: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      this.said = `${what} is in the clipboard.`;
    } catch {
      this.said = `This browser does not allow copying. ${what}: ${text}`;
    }
  }
}

customElements.define('page-keep-dialog', KeepDialog);
