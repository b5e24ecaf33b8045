// One text that a model continues, as it grows. No DOM here.
import type { GenerateOptions, HookEntry, Model } from '../index.ts';

/** One token that was added. */
export interface AddedToken {
  readonly id: number;
  /** What it adds to the text; '' within a character. */
  readonly text: string;
  /** What the model gave it, before temperature and filters. */
  readonly probability: number;
}

export interface GenerationRequest {
  readonly model: Model;
  readonly ids: readonly number[];
  /** Asked for when it begins. */
  readonly hooks: () => Promise<readonly HookEntry[]>;
  readonly options: Pick<GenerateOptions, 'numerics' | 'maxNewTokens' | 'temperature' | 'topK' | 'seed'>;
}

export class Generation {
  readonly request: GenerationRequest;
  readonly tokens: AddedToken[] = [];
  state: 'waiting' | 'running' | 'ended' | 'failed' = 'waiting';
  /** Why it ended, or what went wrong. */
  message = '';
  private readonly work = new AbortController();
  private firstMs = 0;
  private lastMs = 0;

  constructor(request: GenerationRequest) {
    this.request = request;
  }

  /** Tokens per second behind the first one, which waits for the prompt; null before there are two. */
  get rate(): number | null {
    return this.tokens.length < 2 ? null : (1000 * (this.tokens.length - 1)) / (this.lastMs - this.firstMs);
  }

  /** @param onToken called after each token, and at the end */
  async run(onToken: () => void): Promise<void> {
    const { model, ids, hooks, options } = this.request;
    const { signal } = this.work;
    try {
      signal.throwIfAborted();
      this.state = 'running';
      const steps = model.generate(ids, { ...options, hooks: await hooks(), signal });
      for await (const { token, text, logProb, finished } of steps) {
        this.lastMs = performance.now();
        if (this.tokens.length === 0) this.firstMs = this.lastMs;
        this.tokens.push({ id: token, text, probability: Math.exp(logProb) });
        if (finished !== null) this.message = `ended by ${finished}`;
        onToken();
      }
      this.state = 'ended';
    } catch (error) {
      this.state = signal.aborted ? 'ended' : 'failed';
      this.message = signal.aborted ? 'stopped' : error instanceof Error ? error.message : String(error);
    }
    onToken();
  }

  stop(): void {
    this.work.abort(new DOMException('Stopped.', 'AbortError'));
  }
}
