// Choosing a model: an embedded one, files or a folder from a picker or by drag and drop, or a name on the hub.
import { html, type TemplateResult } from 'lit';
import { droppedFiles } from './dropped_files.ts';
import { firstIds, isPromptFor } from './page_run.ts';
import { EMBEDDED_MODELS, startOf } from './state.ts';
import { View } from './view.ts';

class ModelChoice extends View {
  static override properties = { ...View.properties, isDragged: { state: true } };
  declare isDragged: boolean;
  private readonly drag = (event: DragEvent) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    this.isDragged = event.type === 'dragover';
    if (event.type === 'drop') void this.drop(event.dataTransfer);
  };

  private readonly closeFromOutside = (event: Event) => {
    if (!event.composedPath().includes(this)) this.close();
  };

  constructor() {
    super();
    this.isDragged = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    for (const type of ['dragover', 'dragleave', 'drop'] as const) addEventListener(type, this.drag);
    addEventListener('pointerdown', this.closeFromOutside);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const type of ['dragover', 'dragleave', 'drop'] as const) removeEventListener(type, this.drag);
    removeEventListener('pointerdown', this.closeFromOutside);
  }

  override render(): TemplateResult {
    const known: readonly string[] = EMBEDDED_MODELS;
    const names = known.includes(this.state.model) ? known : [...known, this.state.model];
    return html`
      <label>Model <select id="model" @change=${this.choose}>
        ${names.map((name) => html`<option .selected=${name === this.state.model}>${name}</option>`)}
      </select></label>
      <details id="open-model" @keydown=${this.closeByKey}>
        <summary>Open another</summary>
        <div class="popover">
          <label>Folder of a model
            <input type="file" id="open-folder" webkitdirectory multiple @change=${this.pick}></label>
          <label>or its files: config.json, *.safetensors, tokenizer.json
            <input type="file" id="open-files" multiple @change=${this.pick}></label>
          <form @submit=${this.openFromHub}>
            <label for="open-hub">or a name on the Hugging Face hub (its files are fetched from there)</label>
            <div class="row"><input id="open-hub" name="hub" placeholder="owner/name@revision" spellcheck="false"
              autocomplete="off"><button>Fetch</button></div>
          </form>
          <p class="muted">Files never leave this machine. GPT-2 and Llama in Hugging Face's layout, and TransformerLens's own.</p>
        </div>
      </details>
      ${this.isDragged ? html`<p id="drop" role="status">Drop a model's folder or files, or a recording, to open it.</p>` : ''}
    `;
  }

  private choose(event: Event): void {
    const select = event.target as HTMLSelectElement;
    const name = select.value;
    select.value = this.state.model; // until it is there
    void this.session.open(name, [], () => ({ ...startOf(name), view: this.state.view }));
  }

  private pick(event: Event): void {
    const input = event.target as HTMLInputElement;
    const files = Array.from(input.files ?? []);
    input.value = ''; // the same files may be picked again
    void this.openFiles(files);
  }

  private async drop(transfer: DataTransfer): Promise<void> {
    try {
      await this.openFiles(await droppedFiles(transfer));
    } catch (error) {
      this.session.fail(error); // a folder that may not be read
    }
  }

  private async openFiles(files: readonly File[]): Promise<void> {
    if (files.length === 0) return;
    this.close();
    const [{ name }] = files;
    if (files.length === 1 && name.endsWith('.safetensors')) return this.session.openRecording(files[0]);
    const config = files.find(({ name }) => name === 'config.json');
    const folder = config?.webkitRelativePath.split('/').at(-2);
    await this.openAs(`files:${folder || name}`, files);
  }

  private close(): void {
    (this.querySelector('#open-model') as HTMLDetailsElement).open = false;
  }

  private closeByKey({ key }: KeyboardEvent): void {
    if (key !== 'Escape') return;
    this.close();
    this.querySelector('summary')?.focus();
  }

  private openFromHub(event: SubmitEvent): void {
    event.preventDefault();
    const name = String(new FormData(event.target as HTMLFormElement).get('hub')).trim();
    if (name) void this.openAs(name.startsWith('hf:') ? name : `hf:${name}`, []);
  }

  /**
   * A model that the page knows nothing of begins with the prompt that there is, or with ids where it has no tokenizer for a text; and
   * with no changes, which name values of the other.
   */
  private async openAs(name: string, files: readonly File[]): Promise<void> {
    this.close();
    await this.session.open(name, files, (model) => {
      const { view, prompt } = this.state;
      return { ...startOf(name), view, prompt: isPromptFor(model, prompt) ? prompt : firstIds(model) };
    });
  }
}

customElements.define('page-model-choice', ModelChoice);
