import { type UpstreamBody, UpstreamBodyError } from './upstream.ts';

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

/** Who is handed each piece as it comes. */
interface Taker extends PromiseWithResolvers<boolean> {
  readonly take: (bytes: Buffer) => boolean;
}

/** So many are read at once, or one piece as it came. */
const readBytes = 64 * 1024;

const nothing = Buffer.alloc(0);
const nothingToWaitFor = Promise.resolve();

/**
 * The bytes of a response in the order in which they came. All that came before a break are read
 * before the break is: they were delivered, and they are charged.
 */
export class ResponseBody implements AsyncIterableIterator<Buffer>, UpstreamBody {
  readonly #flow: Flow;
  #chunks: Buffer[] = [];
  #unreadBytes = 0;
  #totalBytes = 0;
  #paused = false;
  #state: State = { kind: 'open' };
  #waking: PromiseWithResolvers<void> | null = null;
  #taker: Taker | null = null;
  #handsOverSoon = false;

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
    this.#wake();
  }

  end(): void {
    if (this.#state.kind === 'open') this.#state = { kind: 'ended' };
    this.#wake();
  }

  fail(reason: UpstreamBodyError['reason'], cause: unknown): void {
    if (this.#state.kind === 'open') {
      this.#state = { kind: 'broken', error: new UpstreamBodyError(reason, { cause }) };
    }
    this.#wake();
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    const comes = this.#hasNext ? nothingToWaitFor : this.#woken();
    return comes.then(() => this.#next());
  }

  takeEach(take: (bytes: Buffer) => boolean): Promise<boolean> {
    const taker = { take, ...Promise.withResolvers<boolean>() };
    this.#taker = taker;
    if (this.#hasNext) this.#handOverSoon();
    return taker.promise;
  }

  /** Whoever stops reading lets go of the connection. */
  async return(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.#state.kind === 'open') {
      this.#state = { kind: 'ended' };
      this.#flow.abort(new Error('nobody reads the answer any more'));
    }
    this.#chunks = [];
    this.#wake();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  get #hasNext(): boolean {
    return this.#chunks.length > 0 || this.#state.kind !== 'open';
  }

  #wake(): void {
    this.#waking?.resolve();
    if (this.#taker !== null) this.#handOverSoon();
  }

  /** Not at once: all that one read of the connection brought goes together, and what fails then fails no read. */
  #handOverSoon(): void {
    if (this.#handsOverSoon) return;
    this.#handsOverSoon = true;
    void nothingToWaitFor.then(this.#handOver);
  }

  readonly #handOver = (): void => {
    this.#handsOverSoon = false;
    const taker = this.#taker;
    if (taker === null) return;
    try {
      const goesOn = this.#handOverTo(taker);
      if (goesOn === null) return;
      this.#taker = null;
      taker.resolve(goesOn);
    } catch (error) {
      this.#taker = null;
      taker.reject(error);
    }
  };

  /** @returns null while more is to come */
  #handOverTo({ take }: Taker): boolean | null {
    while (this.#chunks.length > 0) {
      if (!take(this.#take())) return true;
    }
    if (this.#state.kind === 'broken') throw this.#state.error;
    return this.#state.kind === 'ended' ? false : null;
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
    if (this.#chunks.length > 1) return this.#takeSeveral();
    const only = this.#chunks.pop() ?? nothing;
    this.#wasTaken(only.length);
    return only;
  }

  #takeSeveral(): Buffer {
    let bytes = 0;
    let pieces = 0;
    for (const { length } of this.#chunks) {
      if (pieces > 0 && bytes + length > readBytes) break;
      bytes += length;
      pieces++;
    }
    const taken = this.#chunks.splice(0, pieces);
    this.#wasTaken(bytes);
    return taken.length === 1 && taken[0] !== undefined ? taken[0] : Buffer.concat(taken);
  }

  #wasTaken(bytes: number): void {
    this.#unreadBytes -= bytes;
    if (!this.#paused || this.#unreadBytes > highWaterBytes) return;
    this.#paused = false;
    this.#flow.resume();
  }
}
