// A view with jobs: follows them, and shows the button that starts one, its progress, the button that stops it, and what went wrong.
import { html, type TemplateResult } from 'lit';
import { type Job, Jobs, type Work } from './jobs.ts';
import type { PageRun } from './page_run.ts';
import { View } from './view.ts';

export interface ShownJob<T> {
  /** What the job is about. */
  readonly of: object;
  readonly key: string;
  /** On the button that starts it, and while it cannot be started. */
  readonly label: string;
  readonly isDisabled?: boolean;
  /** Whether doing it once more gives something else. */
  readonly isRepeatable?: boolean;
  readonly work: Work<T>;
}

export abstract class JobView extends View {
  private readonly followJobs = () => this.requestUpdate();

  override connectedCallback(): void {
    super.connectedCallback();
    this.jobs.addEventListener('change', this.followJobs);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.jobs.removeEventListener('change', this.followJobs);
  }

  protected get jobs(): Jobs {
    return Jobs.of(this.session);
  }

  /** Takes a job's result out of a recording, where it holds it: nobody has to ask for that. */
  protected takeRecorded<T>(run: PageRun | null, key: string, work: (run: PageRun) => Work<T>): void {
    if (run && !this.session.model && run.offers(key) && !this.jobs.get(run, key)) this.jobs.start(run, key, work(run));
  }

  /** Start, progress and stop of a job; both are of one height. */
  protected controls<T>({
    of,
    key,
    label,
    isDisabled = false,
    isRepeatable = false,
    work,
  }: ShownJob<T>): TemplateResult {
    const job: Job<T> | null = this.jobs.get(of, key);
    const start = () => this.jobs.restart(of, key, work);
    if (job?.state === 'done' && !isRepeatable) return html``;
    if (job?.state !== 'pending') {
      return html`<div class="job row">
        <button class="start ${job?.state === 'done' ? '' : 'primary'}" ?disabled=${isDisabled} @click=${start}>
          ${job?.state === 'done' ? `${label} again` : label}</button>
        ${job?.state === 'failed' ? html`<span class="problem" role="alert">${job.message}</span>` : ''}
      </div>`;
    }
    const { text, share } = job.progress;
    return html`<div class="job row">
      <button class="stop" @click=${() => this.jobs.stop(of, key)}>Stop</button>
      <progress .value=${share ?? 0} aria-label=${label}></progress>
      <span class="muted" role="status">${text}</span>
    </div>`;
  }
}
