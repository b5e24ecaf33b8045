// The page's side of the float64 worker: starts it when a value is asked for, and ends it with the model, or when nobody asked for long.
import type { ModelConfig } from '../index.ts';
import { createOwnWorker } from './own_worker.ts';
import type { PageRun } from './page_run.ts';
import type { Session } from './session.ts';

export interface Float64Request {
  readonly id: number;
  readonly location: string | readonly File[];
  readonly config: ModelConfig;
  /** Ids of one row. */
  readonly tokens: readonly number[];
  readonly name: string;
}

export type Float64Reply =
  | { readonly id: number; readonly data: Float64Array }
  | { readonly id: number; readonly message: string };

/** The worker holds the weights and a pass's values; after this long without a question it is ended. */
const IDLE_MS = 120_000;

interface Pending {
  readonly resolve: (data: Float64Array) => void;
  readonly reject: (error: Error) => void;
}

const clients = new WeakMap<Session, Float64Client>();

export class Float64Client {
  private readonly session: Session;
  private worker: Worker | null = null;
  /** The model that the worker was started for. */
  private of: object | null = null;
  private readonly pending = new Map<number, Pending>();
  private lastId = 0;
  private idle: ReturnType<typeof setTimeout> | undefined;

  private constructor(session: Session) {
    this.session = session;
    session.addEventListener('change', () => {
      if (this.worker && session.model !== this.of) this.end('The page has another model now.');
    });
  }

  static of(session: Session): Float64Client {
    const client = clients.get(session) ?? new Float64Client(session);
    clients.set(session, client);
    return client;
  }

  /**
   * A value of the unchanged model in float64, row-major.
   * @throws Error for a recorded run, or a value that float64 does not have
   */
  value({ ids }: PageRun, name: string): Promise<Float64Array> {
    const { model, location } = this.session;
    if (!model) throw new Error('A recorded run has no weights to compute float64 values from.');
    const worker = this.start();
    const id = ++this.lastId;
    // The worker's own address is another one than the page's.
    const isRelative = typeof location === 'string' && location.startsWith('.');
    const absolute = isRelative ? new URL(location, document.baseURI).href : location;
    const request: Float64Request = { id, location: absolute, config: model.config, tokens: ids, name };
    clearTimeout(this.idle);
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      worker.postMessage(request);
    });
  }

  private start(): Worker {
    if (this.worker) return this.worker;
    const worker = createOwnWorker(new URL('./float64_worker.ts', import.meta.url));
    worker.addEventListener('message', ({ data }: MessageEvent<Float64Reply>) => this.settle(data));
    worker.addEventListener('error', ({ message }) => this.end(message || 'The worker could not be started.'));
    [this.worker, this.of] = [worker, this.session.model];
    return worker;
  }

  private settle(reply: Float64Reply): void {
    const pending = this.pending.get(reply.id);
    this.pending.delete(reply.id);
    if ('data' in reply) pending?.resolve(reply.data);
    else pending?.reject(new Error(reply.message));
    if (this.pending.size === 0) this.idle = setTimeout(() => this.end('Nobody asked.'), IDLE_MS);
  }

  private end(why: string): void {
    clearTimeout(this.idle);
    this.worker?.terminate();
    this.worker = null;
    const failed = [...this.pending.values()];
    this.pending.clear();
    for (const { reject } of failed) reject(new Error(why));
  }
}
