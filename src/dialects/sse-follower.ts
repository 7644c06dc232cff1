import type { Refusal } from '../domain/errors.ts';
import type { SseEvent, StreamFollower, StreamMeter, StreamReading } from './dialect.ts';
import { SseFramer } from './sse.ts';

/**
 * Follows a stream of server-sent events: frames it, meters each event, and lets through what may go.
 * @param errorEvent an error as the dialect's clients understand it in the middle of a stream
 */
export function followSse(meter: StreamMeter, errorEvent: (refusal: Refusal) => Buffer): StreamFollower {
  return new SseFollower(meter, errorEvent);
}

/** By what upstream says it sends; where it doesn't say, by what was asked for. */
export function isEventStream(contentType: string, asksStream: boolean): boolean {
  return contentType.includes('text/event-stream') || (asksStream && !contentType.includes('json'));
}

class SseFollower implements StreamFollower {
  readonly #framer = new SseFramer();
  readonly #meter: StreamMeter;
  readonly #errorEvent: (refusal: Refusal) => Buffer;
  /** From the closing event on, until the commit is in. */
  readonly #heldBack: Buffer[] = [];
  #closed = false;
  #takenBytes = 0;

  constructor(meter: StreamMeter, errorEvent: (refusal: Refusal) => Buffer) {
    this.#meter = meter;
    this.#errorEvent = errorEvent;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get generatedAtMost(): number {
    return this.#meter.generatedAtMost ?? this.#takenBytes;
  }

  push(chunk: Buffer): readonly Buffer[] {
    const passed: Buffer[] = [];
    for (const event of this.#framer.push(chunk)) this.#take(event, passed);
    return passed;
  }

  end(): readonly Buffer[] {
    const last = this.#framer.end();
    // Nothing goes out any more before the commit, and this is the last that does after it.
    if (last !== null) this.#take(last, this.#heldBack);
    return this.#heldBack;
  }

  reading(): StreamReading {
    return this.#meter.reading();
  }

  errorEnd(refusal: Refusal): Buffer {
    return this.#errorEvent(refusal);
  }

  #take(event: SseEvent, passed: Buffer[]): void {
    const fate = this.#meter.take(event);
    this.#takenBytes += event.raw.length;
    if (fate === 'close') this.#closed = true;
    if (fate !== 'keep') append(this.#closed ? this.#heldBack : passed, event.raw);
  }
}

/** Events that stand side by side in one chunk go on as one piece, as they came. */
function append(pieces: Buffer[], raw: Buffer): void {
  const last = pieces.at(-1);
  if (last !== undefined && last.buffer === raw.buffer && last.byteOffset + last.length === raw.byteOffset) {
    pieces[pieces.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + raw.length);
  } else {
    pieces.push(raw);
  }
}
