import type { EventFate, SseEvent, StreamMeter, StreamReading } from '../dialect.ts';
import { parseJson } from '../json.ts';
import { AnswerMeter, type MeterContext } from './answer-meter.ts';

const openBrace = 0x7b;

/**
 * Meters a stream of server-sent events. No event closes it: official clients take the answer as complete
 * when the body ends, and the body ends after the commit.
 */
export class EventMeter implements StreamMeter {
  readonly #meter: AnswerMeter;

  constructor(context: MeterContext) {
    this.#meter = new AnswerMeter(context);
  }

  take({ data, raw }: SseEvent): EventFate {
    if (data !== null) this.#meter.take(parseJson(data));
    // Google sends some errors as bare JSON between the events, and its own client looks for them.
    else if (raw[0] === openBrace) this.#meter.take(parseJson(raw.toString('utf8')));
    return 'relay';
  }

  reading(): StreamReading {
    return this.#meter.reading();
  }
}
