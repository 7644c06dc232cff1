import type { Refusal } from '../../domain/errors.ts';
import type { StreamFollower, StreamReading } from '../dialect.ts';
import { parseJson } from '../json.ts';
import { AnswerMeter, type MeterContext } from './answer-meter.ts';
import { errorBody } from './errors.ts';
import { JsonArrayFramer } from './json-array.ts';

/**
 * Follows an answer that streams as a JSON array. Its closing bracket makes it complete, so that waits for
 * the commit; so does all of an answer that is no array, which is complete with its last byte.
 */
export class JsonArrayFollower implements StreamFollower {
  readonly #framer = new JsonArrayFramer();
  readonly #meter: AnswerMeter;
  #hasElements = false;
  #takenBytes = 0;

  constructor(context: MeterContext) {
    this.#meter = new AnswerMeter(context);
  }

  get closed(): boolean {
    return this.#framer.isClosed;
  }

  get generatedAtMost(): number {
    return this.#takenBytes;
  }

  push(chunk: Buffer): readonly Buffer[] {
    this.#takenBytes += chunk.length;
    const elements = this.#framer.push(chunk);
    for (const { json } of elements) this.#meter.take(parseJson(json));
    if (elements.length > 0) this.#hasElements = true;
    return elements.map(({ raw }) => raw);
  }

  end(): readonly Buffer[] {
    const rest = this.#framer.end();
    if (this.#framer.isNoArray) this.#meter.take(parseJson(rest.toString('utf8')));
    return rest.length === 0 ? [] : [rest];
  }

  reading(): StreamReading {
    return this.#meter.reading();
  }

  /** One more element, so that the client has a whole array; a new array where it has nothing of one. */
  errorEnd(refusal: Refusal): Buffer {
    return Buffer.from(`${this.#hasElements ? ',\r\n' : '['}${errorBody(refusal)}\n]`);
  }
}
