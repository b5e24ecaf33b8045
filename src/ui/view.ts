// What every part of the page is: a Lit element that follows the session, without a shadow root, so that the page's style applies to it.
import { LitElement } from 'lit';
import type { PageRun } from './page_run.ts';
import type { Session } from './session.ts';
import type { PageState } from './state.ts';

/** A result that is being waited for, is there, or will not come. */
export type Later<T> =
  | { readonly state: 'pending' }
  | { readonly state: 'done'; readonly value: T }
  | { readonly state: 'failed'; readonly message: string };

const PENDING = { state: 'pending' } as const;

export abstract class View extends LitElement {
  static override properties = { session: { attribute: false } };
  declare session: Session;
  private readonly results = new WeakMap<object, Map<string, Later<unknown>>>();
  private readonly follow = () => this.requestUpdate();

  protected override createRenderRoot(): HTMLElement {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.session.addEventListener('change', this.follow);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.session.removeEventListener('change', this.follow);
  }

  protected get state(): PageState {
    return this.session.state;
  }

  protected get run(): PageRun | null {
    return this.session.run;
  }

  /** Changes the state. */
  protected change(to: Partial<PageState>): void {
    void this.session.update(to);
  }

  /**
   * What `compute` gives for an object (a run), computed once for each key; the view is drawn again when it is there. Results of
   * objects that are gone are forgotten with them.
   */
  protected later<T>(of: object, key: string, compute: () => Promise<T>): Later<T> {
    const results = this.results.get(of) ?? new Map<string, Later<unknown>>();
    this.results.set(of, results);
    const known = results.get(key) as Later<T> | undefined;
    if (known) return known;
    results.set(key, PENDING);
    const settle = (result: Later<T>) => {
      results.set(key, result);
      this.requestUpdate();
    };
    const computed = async () => compute(); // what it throws at once is a failure like any other
    computed().then(
      (value) => settle({ state: 'done', value }),
      (error) => settle({ state: 'failed', message: error instanceof Error ? error.message : String(error) }),
    );
    return PENDING;
  }
}
