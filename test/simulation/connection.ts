import type { Client, ResponseHead } from '../../src/gateway/request.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** Bytes of an answer and when they were there to be read. */
interface Written {
  readonly atMs: number;
  readonly length: number;
}

const closingEvent = 'data: [DONE]';

/** One request on its connection: what the client has got, byte by byte, and how it ended. */
export class Connection implements Client {
  readonly process: Process;
  readonly #world: World;
  readonly #gone = new AbortController();
  readonly written: Written[] = [];
  head: ResponseHead | null = null;
  body = '';
  /** How it ended for the client; broken is without an end. */
  ending: 'ended' | 'abandoned' | 'broken' | null = null;
  endedAtMs: number | null = null;
  hasHungUp = false;
  /** A client that stops reading: so many bytes are still taken in, and then for so long none. */
  readonly #stall: { readonly afterBytes: number; readonly ms: number } | null;
  #isStalled = false;
  #stalledBefore = false;
  #drained: PromiseWithResolvers<void> = Promise.withResolvers();
  /** Called with each piece of an answer that is delivered, before anything else happens. */
  readonly #onBytes: () => void;
  /** Called once when the client has the answer as far as it will get it, or sees that it is complete. */
  readonly #onEnd: () => void;
  readonly #onComplete: () => void;
  #isComplete = false;

  constructor(options: {
    readonly world: World;
    readonly process: Process;
    readonly stall: { readonly afterBytes: number; readonly ms: number } | null;
    readonly onBytes: () => void;
    readonly onComplete: () => void;
    readonly onEnd: () => void;
  }) {
    this.#world = options.world;
    this.process = options.process;
    this.#stall = options.stall;
    this.#onBytes = options.onBytes;
    this.#onEnd = options.onEnd;
    this.#onComplete = options.onComplete;
    options.process.onDeath(() => this.#finish('broken'));
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Whether the client takes what it has for the whole answer. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  get status(): number | null {
    return this.head?.kind === 'upstream' ? this.head.status : null;
  }

  get code(): string | null {
    return this.head?.kind === 'refusal' ? this.head.refusal.code : null;
  }

  header(name: string): string | null {
    const value = this.head?.headers[name];
    return typeof value === 'string' ? value : null;
  }

  get isStream(): boolean {
    return String(this.head?.headers['content-type'] ?? '').includes('event-stream');
  }

  /** The text that was delivered until `untilMs`, of a stream or of a whole answer. */
  textUntil(untilMs: number): string {
    let length = 0;
    for (const piece of this.written) if (piece.atMs <= untilMs) length += piece.length;
    return textOf(this.body.slice(0, length), this.isStream);
  }

  hangUp(): void {
    if (this.ending !== null) return;
    this.hasHungUp = true;
    this.#finish('broken');
    this.process.deliver(this.#world.chance.delayMs(1), 'client gone', () => {
      this.#gone.abort();
      this.#drained.resolve();
    });
  }

  start(head: ResponseHead): void {
    if (!this.#takes()) return;
    if (this.head !== null) this.#world.violated('an answer has one head', String(head.kind));
    this.head = head;
  }

  write(bytes: Buffer): boolean {
    if (!this.#takes()) return true;
    if (this.head === null) this.#world.violated('an answer begins with its head', 'bytes before it');
    this.#append(bytes);
    if (this.isStream && this.body.includes(closingEvent)) this.#complete();
    return !this.#stalls();
  }

  drained(): Promise<void> {
    return this.#drained.promise;
  }

  end(bytes?: Buffer): void {
    if (!this.#takes()) return;
    if (bytes !== undefined) this.#append(bytes);
    const isWhole = this.isStream ? this.body.includes(closingEvent) : this.status !== null;
    if (isWhole) this.#complete();
    this.#finish('ended');
  }

  abandon(): void {
    if (this.#takes()) this.#finish('abandoned');
  }

  #takes(): boolean {
    return this.process.acts() && this.ending === null;
  }

  #append(bytes: Buffer): void {
    const text = bytes.toString();
    this.body += text;
    this.written.push({ atMs: this.#world.nowMs, length: text.length });
    if (text.length > 0 && this.status !== null) this.#onBytes();
  }

  #stalls(): boolean {
    if (this.#stall === null || this.#stalledBefore || this.body.length < this.#stall.afterBytes)
      return this.#isStalled;
    this.#stalledBefore = true;
    this.#isStalled = true;
    this.process.deliver(this.#stall.ms, 'client reads on', () => {
      this.#isStalled = false;
      this.#drained.resolve();
    });
    return true;
  }

  #complete(): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    this.#onComplete();
  }

  #finish(ending: 'ended' | 'abandoned' | 'broken'): void {
    if (this.ending !== null) return;
    this.ending = ending;
    this.endedAtMs = this.#world.nowMs;
    this.#world.after(0, `client of ${this.process.name} sees ${ending}`, this.#onEnd);
  }
}

/** What was generated, in the pieces that came as a whole. */
function textOf(body: string, isStream: boolean): string {
  if (!isStream) return contentOf(body, 'message');
  const whole = body.slice(0, body.lastIndexOf('\n\n') + 1);
  return whole
    .split('\n\n')
    .map((event) => contentOf(event.trim().replace(/^data: /, ''), 'delta'))
    .join('');
}

function contentOf(json: string, member: 'message' | 'delta'): string {
  if (!json.startsWith('{')) return '';
  const answer = JSON.parse(json) as {
    choices?: readonly { message?: { content?: string }; delta?: { content?: string } }[];
  };
  return answer.choices?.[0]?.[member]?.content ?? '';
}
