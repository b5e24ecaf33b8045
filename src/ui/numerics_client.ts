// The page's side of the numerics worker: starts it when there is something to do, and ends it (with the GPU memory that it holds) when
// the page has another model, or nobody has looked at the view for a while.
import type { Model } from '../index.ts';
import type { Work } from './jobs.ts';
import type { NumericsResults, NumericsTask, Reply, Request } from './numerics_tasks.ts';
import { createOwnWorker } from './own_worker.ts';
import type { Session } from './session.ts';

const REST_MS = 60_000;

interface Pending {
  readonly settle: (reply: Reply) => void;
  readonly fail: (error: Error) => void;
}

const clients = new WeakMap<Session, NumericsClient>();

export class NumericsClient {
  private readonly session: Session;
  private worker: Worker | null = null;
  /** The page's model when the worker was started: it has the same. */
  private model: Model | null = null;
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private viewers = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(session: Session) {
    this.session = session;
    session.addEventListener('change', () => {
      if (this.worker && session.model !== this.model) this.end('The page has another model now.');
    });
  }

  static of(session: Session): NumericsClient {
    const client = clients.get(session) ?? new NumericsClient(session);
    clients.set(session, client);
    return client;
  }

  /** Somebody looks at the view, or does so no longer. */
  watch(isWatching: boolean): void {
    this.viewers += isWatching ? 1 : -1;
    this.rest();
  }

  /** A task as work of a job. */
  work<Kind extends NumericsTask['kind']>(task: NumericsTask & { readonly kind: Kind }): Work<NumericsResults[Kind]> {
    return (say, signal) => {
      const worker = this.start();
      const id = ++this.lastId;
      const send = (request: Request) => worker.postMessage(request);
      return new Promise<NumericsResults[Kind]>((resolve, reject) => {
        const end = () => {
          this.pending.delete(id);
          this.rest();
        };
        const settle = (reply: Reply) => {
          if (reply.kind === 'progress') return say(reply.progress);
          end();
          if (reply.kind === 'error') reject(new Error(reply.message));
          else resolve(reply.result as NumericsResults[Kind]);
        };
        this.pending.set(id, { settle, fail: reject });
        clearTimeout(this.timer);
        signal.addEventListener('abort', () => {
          reject(signal.reason);
          send({ kind: 'stop', id }); // the worker says when it has
        });
        send({ kind: 'task', id, task });
      });
    };
  }

  private start(): Worker {
    if (this.worker) return this.worker;
    const { model, location, state } = this.session;
    const worker = createOwnWorker(new URL('./numerics_worker.ts', import.meta.url));
    worker.addEventListener('message', ({ data }: MessageEvent<Reply>) => this.pending.get(data.id)?.settle(data));
    worker.addEventListener('error', ({ message }) => this.end(message || 'The worker could not be started.'));
    // The worker's own address is another one than the page's.
    const isRelative = typeof location === 'string' && location.startsWith('.');
    const absolute = isRelative ? new URL(location, document.baseURI).href : location;
    const request: Request = { kind: 'model', location: absolute, numerics: state.numerics };
    worker.postMessage(request);
    [this.worker, this.model] = [worker, model];
    return worker;
  }

  /** Whoever comes back within a minute finds the model loaded. */
  private rest(): void {
    clearTimeout(this.timer);
    if (this.viewers > 0 || this.pending.size > 0) return;
    this.timer = setTimeout(() => this.end('Nobody looks.'), REST_MS);
  }

  private end(why: string): void {
    this.worker?.terminate();
    this.worker = null;
    const failed = [...this.pending.values()];
    this.pending.clear();
    for (const { fail } of failed) fail(new Error(why));
  }
}
