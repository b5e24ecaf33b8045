// What can be kept of the page: its link, its values and pictures as files, the program that does the same, a recording. The dialog's code
// is loaded when it is first opened.
import { html, nothing } from 'lit';
import { View } from './view.ts';

class Keep extends View {
  static override properties = { ...View.properties, isLoaded: { state: true } };
  declare isLoaded: boolean;

  constructor() {
    super();
    this.isLoaded = false;
  }

  override render() {
    return html`<button id="keep" aria-haspopup="dialog" @click=${this.open}>Keep and share</button>
      ${this.isLoaded ? html`<page-keep-dialog .session=${this.session}></page-keep-dialog>` : nothing}`;
  }

  private readonly open = async (): Promise<void> => {
    try {
      await import('./keep_dialog.ts');
    } catch (error) {
      this.session.fail(error);
      return;
    }
    this.isLoaded = true;
    await this.updateComplete;
    const dialog = this.querySelector<HTMLElement & { open(): void }>('page-keep-dialog');
    dialog?.open();
  };
}

customElements.define('page-keep', Keep);
