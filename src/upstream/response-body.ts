import { UpstreamBodyError } from './upstream.ts';

/** What the connection can do for a body that is read more slowly than it comes. */
export interface Flow {
  pause(): void;
  resume(): void;
  abort(reason: Error): void;
}

type State =
  | { readonly kind: 'open' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'broken'; readonly error: UpstreamBodyError };

/** Beyond so many bytes unread, the connection is not read on. */
const highWaterBytes = 64 * 1024;

/**
 * The bytes of a response in the order in which they came. All that came before a break are read
 * before the break is: they were delivered, and they are charged.
 */
export class ResponseBody implements AsyncIterableIterator<Buffer> {
  readonly #flow: Flow;
  #chunks: Buffer[] = [];
  #unreadBytes = 0;
  #paused = false;
  #state: State = { kind: 'open' };
  #wake: (() => void) | null = null;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#unreadBytes += chunk.length;
    if (this.#unreadBytes > highWaterBytes && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
    this.#wake?.();
  }

  end(): void {
    if (this.#state.kind === 'open') this.#state = { kind: 'ended' };
    this.#wake?.();
  }

  fail(reason: UpstreamBodyError['reason'], cause: unknown): void {
    if (this.#state.kind === 'open') {
      this.#state = { kind: 'broken', error: new UpstreamBodyError(reason, { cause }) };
    }
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    for (;;) {
      if (this.#chunks.length > 0) return { done: false, value: this.#takeAll() };
      if (this.#state.kind === 'broken') throw this.#state.error;
      if (this.#state.kind === 'ended') return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }

  /** Whoever stops reading lets go of the connection. */
  async return(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.#state.kind === 'open') {
      this.#state = { kind: 'ended' };
      this.#flow.abort(new Error('nobody reads the answer any more'));
    }
    this.#chunks = [];
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #takeAll(): Buffer {
    const [first] = this.#chunks;
    const all = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#unreadBytes = 0;
    if (this.#paused) {
      this.#paused = false;
      this.#flow.resume();
    }
    return all;
  }
}
