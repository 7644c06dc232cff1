import {
  type Unreachable,
  UpstreamBodyError,
  type UpstreamCall,
  type UpstreamClient,
  type UpstreamResponse,
} from '../../src/upstream/upstream.ts';
import type { Process } from './process.ts';
import { planAnswer, type Reported, type Script } from './upstream-script.ts';
import type { World } from './world.ts';

/** The head came; or the request was sent, and none came or none was waited for; or it was never sent. */
export type Begun = 'head' | 'timeout' | 'cancelled' | 'unsent';

/** One request that a provider got, and what the asking process received of its answer. */
export interface Exchange {
  readonly label: string;
  readonly process: Process;
  readonly script: Script;
  /** How the wait for the answer's head ended, as the process knows; null: it died before. */
  begun: { readonly how: Begun; readonly atMs: number } | null;
  /** Text of the answer that has reached the process. */
  receivedText: string;
  /** What the provider said that it used, once that has reached the process. */
  reported: Reported | null;
  /** Whether the answer has reached the process as a whole. */
  isWhole: boolean;
}

/** All providers: they know exactly what they generated, and for whom. */
export class Upstreams {
  readonly #world: World;
  /** By the label that the prompt begins with. */
  readonly exchanges = new Map<string, Exchange[]>();
  /** How often something goes wrong. */
  readonly trouble: number;

  constructor(world: World, trouble: number) {
    this.#world = world;
    this.trouble = trouble;
  }

  clientOf(process: Process): UpstreamClient {
    return {
      send: (call) => this.#send(process, call),
      close: async () => undefined,
    };
  }

  #send(process: Process, call: UpstreamCall): Promise<UpstreamResponse | Unreachable> {
    const { promise, resolve } = Promise.withResolvers<UpstreamResponse | Unreachable>();
    if (!process.acts()) return promise;
    const { label, stream } = readRequest(call.body);
    const script = planAnswer(this.#world.chance, { stream, trouble: this.trouble });
    const exchange: Exchange = {
      label,
      process,
      script,
      begun: null,
      receivedText: '',
      reported: null,
      isWhole: false,
    };
    const known = this.exchanges.get(label);
    if (known === undefined) this.exchanges.set(label, [exchange]);
    else known.push(exchange);
    this.#world.note(`  upstream <- ${process.name} ${label}: ${script.kind}`);
    new Answer({ world: this.#world, exchange, call, resolve }).begin();
    return promise;
  }
}

function readRequest(body: Buffer): { label: string; stream: boolean } {
  const { messages, stream } = JSON.parse(body.toString()) as {
    messages: readonly { content: string }[];
    stream?: boolean;
  };
  return { label: messages.at(-1)?.content.split(' ', 1)[0] ?? '', stream: stream === true };
}

interface AnswerOptions {
  readonly world: World;
  readonly exchange: Exchange;
  readonly call: UpstreamCall;
  readonly resolve: (answer: UpstreamResponse | Unreachable) => void;
}

type Arrived = { readonly bytes: Buffer } | { readonly error: UpstreamBodyError } | 'end';

/** The answer on its way: head, pieces, end, each when its time has come, until somebody cancels. */
class Answer {
  readonly #options: AnswerOptions;
  readonly #arrived: Arrived[] = [];
  #reader: PromiseWithResolvers<IteratorResult<Buffer>> | null = null;
  #isOver = false;
  #forget: () => void = () => {};

  constructor(options: AnswerOptions) {
    this.#options = options;
  }

  begin(): void {
    const { exchange, call, resolve } = this.#options;
    const { script } = exchange;
    const unreachable = (reason: Unreachable['reason'], sent: boolean) => {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#begun(sent ? (reason === 'timeout' ? 'timeout' : 'cancelled') : 'unsent');
      resolve({ kind: 'unreachable', sent, reason, cause: null });
    };
    const cancel = () => {
      this.#forget();
      unreachable('aborted', script.kind !== 'no connection');
      this.#arrive({ error: new UpstreamBodyError('aborted') });
    };
    if (call.signal.aborted) {
      exchange.process.deliver(0, 'upstream aborted', () => unreachable('aborted', false));
      return;
    }
    call.signal.addEventListener('abort', cancel, { once: true });
    switch (script.kind) {
      case 'no connection':
        this.#later(script.headMs, 'no connection', () => unreachable('connection', false));
        return;
      case 'no head':
        this.#later(call.headersTimeoutMs, 'no head', () => unreachable('timeout', true));
        return;
      default:
        this.#later(script.headMs, 'head', () => {
          this.#isOver = true;
          this.#begun('head');
          resolve({ kind: 'response', status: script.status, headers: script.headers, body: this.#body() });
          this.#next(0);
        });
    }
  }

  #begun(how: Begun): void {
    const { world, exchange } = this.#options;
    exchange.begun = { how, atMs: world.nowMs };
  }

  #later(delayMs: number, what: string, run: () => void): void {
    const { process, label } = this.#options.exchange;
    this.#forget = process.deliver(delayMs, `upstream ${label} ${what}`, run);
  }

  /** Piece by piece; behind the last one, its end. */
  #next(index: number): void {
    const { exchange, call } = this.#options;
    const piece = exchange.script.pieces[index];
    if (piece !== undefined) {
      this.#later(piece.afterMs, 'piece', () => {
        exchange.receivedText += piece.text;
        exchange.reported = piece.reported ?? exchange.reported;
        exchange.isWhole = exchange.script.isComplete && index === exchange.script.pieces.length - 1;
        this.#arrive({ bytes: piece.bytes });
        this.#next(index + 1);
      });
      return;
    }
    switch (exchange.script.end) {
      case 'end':
        this.#later(0.1, 'end', () => this.#arrive('end'));
        return;
      case 'cut':
        this.#later(5, 'cut', () => this.#arrive({ error: new UpstreamBodyError('cut') }));
        return;
      case 'hang':
        this.#later(call.idleTimeoutMs, 'hangs', () =>
          this.#arrive({ error: new UpstreamBodyError('timeout') }),
        );
        return;
    }
  }

  #arrive(arrived: Arrived): void {
    this.#arrived.push(arrived);
    const reader = this.#reader;
    this.#reader = null;
    if (reader !== null) this.#read(reader);
  }

  #read(reader: PromiseWithResolvers<IteratorResult<Buffer>>): void {
    const [first] = this.#arrived;
    if (first === undefined) {
      this.#reader = reader;
      return;
    }
    if (first === 'end') reader.resolve({ done: true, value: undefined });
    else if ('error' in first) reader.reject(first.error);
    else {
      this.#arrived.shift();
      reader.resolve({ done: false, value: first.bytes });
    }
  }

  #body(): AsyncIterable<Buffer> {
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          const reader = Promise.withResolvers<IteratorResult<Buffer>>();
          this.#read(reader);
          return reader.promise;
        },
        return: async () => {
          this.#forget();
          this.#arrived.splice(0, this.#arrived.length, 'end');
          return { done: true, value: undefined };
        },
      }),
    };
  }
}
