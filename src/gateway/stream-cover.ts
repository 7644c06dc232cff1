import type { DialectRequest, StreamReading } from '../dialects/dialect.ts';
import { charge } from '../domain/charge.ts';
import type { Refusal } from '../domain/errors.ts';
import { type NanoUsd, nano } from '../domain/money.ts';
import type { PriceList } from '../domain/pricing.ts';
import type { Usage } from '../domain/usage.ts';
import type { Countable, Side, Tokenizer } from '../tokenizer/tokenizer.ts';
import type { GrowingHold } from './growing-hold.ts';
import { stepTokens } from './hold-size.ts';
import { usageSoFar } from './meter.ts';
import { OutputBound } from './output-bound.ts';
import { soundReading } from './sound-reading.ts';

/** Decides event by event whether a stream may go on. */
export interface StreamCover {
  /** Whether these bytes of upstream are certain to be covered, whatever is in them: then they need no look. */
  passes(bytes: Buffer): boolean;
  /**
   * Whether all that was taken until now may be delivered. Null: at once, and so it is nearly always. Otherwise
   * it is to be waited for, and a refusal is how the client is told that it ends here.
   */
  look(reading: StreamReading): Promise<Refusal | null> | null;
}

export interface StreamCoverOptions {
  readonly hold: GrowingHold;
  readonly request: DialectRequest;
  /** The upstream's own name of the model. */
  readonly upstreamModel: string;
  readonly prices: PriceList;
  readonly multiplierPpm: bigint;
  readonly tokenizer: Pick<Tokenizer, 'count'>;
  readonly onFault: (error: unknown) => void;
}

/** Usage that is there: many providers send a null with each event, and the counts in the last. */
const mayBeUsage = /usage(?:_?metadata)?"\s*:\s*(?!\s|null)/i;

/** Of a mention that is cut in two. */
const longestMention = 32;

/** Less than that behind the last count isn't counted again while nothing waits for it. */
const leastCountedBytes = 64;

export function createStreamCover(options: StreamCoverOptions): StreamCover {
  return new MeteredCover(options);
}

class MeteredCover implements StreamCover {
  readonly #options: StreamCoverOptions;
  readonly #output: OutputBound;
  #inputTokens: number;
  #inputIsCounted = false;
  /** No token is less than a byte: so many bytes may pass before the next look. */
  #roomBytes = 0;
  /** Behind the last event that is known to be whole: they are in no reading yet. */
  #openBytes = 0;
  #lastText = '';
  #usageIsOpen = false;
  #counting: Promise<void> | null = null;

  constructor(options: StreamCoverOptions) {
    this.#options = options;
    this.#inputTokens = options.request.estimatedInputTokens;
    this.#output = new OutputBound((texts) => this.#count('output', { texts, overhead: 0 }, false));
  }

  passes(bytes: Buffer): boolean {
    const isWhole = endsWithBlankLine(bytes);
    const mayHaveUsage = this.#mayHaveUsage(bytes, isWhole);
    this.#openBytes = isWhole ? 0 : this.#openBytes + bytes.length;
    if (mayHaveUsage || bytes.length > this.#roomBytes) return false;
    this.#roomBytes -= bytes.length;
    return true;
  }

  look(read: StreamReading): Promise<Refusal | null> | null {
    const { hold } = this.#options;
    // What is told of counts that are none is for the bill to tell.
    const reading = soundReading(read, () => undefined);
    const { generated } = reading;
    let amount = this.#amountOf(reading, this.#output.byLength(generated));
    if (amount > hold.comfortableAmount) amount = this.#amountOf(reading, this.#output.byBytes(generated));
    this.#roomBytes = this.#roomBehind(amount);
    if (amount <= hold.comfortableAmount) return null;
    if (amount > hold.coveredAmount) return this.#decide(reading);
    if (this.#output.uncountedBytes(generated) >= leastCountedBytes) void this.#countBehind(reading);
    else hold.follow(amount);
    return null;
  }

  /** Counts may begin in one piece and end in another. */
  #mayHaveUsage(bytes: Buffer, isWhole: boolean): boolean {
    const text = this.#lastText + bytes.toString('latin1');
    const mayHaveUsage = this.#usageIsOpen || mayBeUsage.test(text);
    this.#usageIsOpen = mayHaveUsage && !isWhole;
    this.#lastText = isWhole ? '' : text.slice(-longestMention);
    return mayHaveUsage;
  }

  /** Stops the stream only by what it would be charged to the token if it were broken off here. */
  async #decide(reading: StreamReading): Promise<Refusal | null> {
    const { hold } = this.#options;
    if (this.#counting !== null) await this.#counting;
    await this.#countBehind(reading);
    const bound = this.#output.byLength(reading.generated);
    let amount = this.#amountOf(reading, bound);
    if (amount > hold.coveredAmount) {
      const exact = await this.#exactOutput(reading.generated);
      await this.#countInput();
      amount = this.#amountOf(reading, exact === null ? bound : Math.min(exact, bound));
    }
    const refused = await hold.cover(amount);
    this.#roomBytes = this.#roomBehind(amount);
    return refused;
  }

  /** Counts, and has the hold follow; the stream goes on meanwhile, as far as it is covered. */
  #countBehind(reading: StreamReading): Promise<void> {
    this.#counting ??= this.#output
      .count(reading.generated)
      .then(() => {
        this.#options.hold.follow(this.#amountOf(reading, this.#output.byLength(reading.generated)));
      })
      // The bound by bytes stands: it may end a stream early, and never late.
      .catch((error: unknown) => this.#options.onFault(error))
      .finally(() => {
        this.#counting = null;
      });
    return this.#counting;
  }

  async #exactOutput(generated: Countable): Promise<number | null> {
    try {
      return await this.#count('output', generated, true);
    } catch (error) {
      this.#options.onFault(error);
      return null;
    }
  }

  async #countInput(): Promise<void> {
    if (this.#inputIsCounted) return;
    this.#inputIsCounted = true;
    try {
      this.#inputTokens = await this.#count('input', this.#options.request.prompt(), true);
    } catch (error) {
      this.#options.onFault(error);
    }
  }

  #count(side: Side, countable: Countable, isCutOff: boolean): Promise<number> {
    const { tokenizer, upstreamModel } = this.#options;
    return tokenizer.count(upstreamModel, { side, countable, isCutOff });
  }

  /** What a stream that has had so much output is charged at most if it ends here. */
  #amountOf(reading: StreamReading, output: number): NanoUsd {
    const counted = { usage: { input: this.#inputTokens, output, requests: 1 }, method: 'tiktoken' as const };
    const own = this.#priceOf(reading, usageSoFar(reading, counted).usage);
    if (reading.usage === null) return own;
    // A class of its output may be dearer than plain output.
    const reported = this.#priceOf(reading, { ...reading.usage, requests: 1 });
    if (reported > own) return reported;
    return own;
  }

  #priceOf({ serviceTier, otherModels }: StreamReading, usage: Usage): NanoUsd {
    const { prices, multiplierPpm, request } = this.#options;
    const others = otherModels.map((other) => ({ ...other, prices: null }));
    const used = { usage, otherModels: others, serviceTier, askedServiceTier: request.serviceTier };
    return charge(used, prices, multiplierPpm).amount;
  }

  #roomBehind(amount: NanoUsd): number {
    const { comfortableAmount, stepAmount } = this.#options.hold;
    const left = nano(comfortableAmount - amount - 1n);
    if (left <= 0n) return 0;
    if (stepAmount === 0n) return Number.MAX_SAFE_INTEGER;
    const tokens = (left * BigInt(stepTokens)) / stepAmount;
    const room = tokens > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(tokens);
    return Math.max(0, room - this.#openBytes);
  }
}

/** As server-sent events end. Of other streams no end is known, and they are looked at more often. */
function endsWithBlankLine(bytes: Buffer): boolean {
  const end = bytes.subarray(-3).toString('latin1');
  return end.endsWith('\n\n') || end === '\n\r\n';
}
