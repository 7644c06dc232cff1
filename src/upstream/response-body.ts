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

/**
 * Beyond so many bytes unread, the connection is not read on. Two reads come to more than that, and for a
 * client that doesn't read all of it is held.
 */
const highWaterBytes = 16 * 1024;

/**
 * No answer is longer: about a million events of one token each, and more than any model generates. What a stream has
 * generated is kept until its end, for the count.
 */
export const maxBodyBytes = 256 * 1024 * 1024;

/** So many are read at once, or one piece as it came. */
const readBytes = 64 * 1024;

const nothingToWaitFor = Promise.resolve();

/**
 * The bytes of a response in the order in which they came. All that came before a break are read
 * before the break is: they were delivered, and they are charged.
 */
export class ResponseBody implements AsyncIterableIterator<Buffer> {
  readonly #flow: Flow;
  #chunks: Buffer[] = [];
  #unreadBytes = 0;
  #totalBytes = 0;
  #paused = false;
  #state: State = { kind: 'open' };
  #waking: PromiseWithResolvers<void> | null = null;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  push(chunk: Buffer): void {
    this.#totalBytes += chunk.length;
    if (this.#totalBytes > maxBodyBytes) {
      const tooLong = new Error(`the answer is longer than ${maxBodyBytes} bytes`);
      this.fail('cut', tooLong);
      this.#flow.abort(tooLong);
      return;
    }
    this.#chunks.push(chunk);
    this.#unreadBytes += chunk.length;
    if (this.#unreadBytes > highWaterBytes && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
    this.#waking?.resolve();
  }

  end(): void {
    if (this.#state.kind === 'open') this.#state = { kind: 'ended' };
    this.#waking?.resolve();
  }

  fail(reason: UpstreamBodyError['reason'], cause: unknown): void {
    if (this.#state.kind === 'open') {
      this.#state = { kind: 'broken', error: new UpstreamBodyError(reason, { cause }) };
    }
    this.#waking?.resolve();
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    const comes = this.#hasNext ? nothingToWaitFor : this.#woken();
    return comes.then(() => this.#next());
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

  get #hasNext(): boolean {
    return this.#chunks.length > 0 || this.#state.kind !== 'open';
  }

  /** Once something came: all that comes before the reader is at it again is read at once. */
  #woken(): Promise<void> {
    this.#waking ??= Promise.withResolvers();
    return this.#waking.promise;
  }

  #next(): IteratorResult<Buffer, undefined> | Promise<IteratorResult<Buffer, undefined>> {
    this.#waking = null;
    // Whoever asked at the same time has it.
    if (!this.#hasNext) return this.next();
    if (this.#chunks.length > 0) return { done: false, value: this.#take() };
    if (this.#state.kind === 'broken') throw this.#state.error;
    return { done: true, value: undefined };
  }

  #take(): Buffer {
    let bytes = 0;
    let pieces = 0;
    for (const { length } of this.#chunks) {
      if (pieces > 0 && bytes + length > readBytes) break;
      bytes += length;
      pieces++;
    }
    const taken = this.#chunks.splice(0, pieces);
    this.#unreadBytes -= bytes;
    if (this.#paused && this.#unreadBytes <= highWaterBytes) {
      this.#paused = false;
      this.#flow.resume();
    }
    return taken.length === 1 && taken[0] !== undefined ? taken[0] : Buffer.concat(taken);
  }
}
