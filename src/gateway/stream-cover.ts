import type { DialectRequest, StreamFollower, StreamReading } from '../dialects/dialect.ts';
import { charge } from '../domain/charge.ts';
import type { Refusal } from '../domain/errors.ts';
import type { NanoUsd } from '../domain/money.ts';
import type { PriceList } from '../domain/pricing.ts';
import type { Usage } from '../domain/usage.ts';
import type { Countable, Side, Tokenizer } from '../tokenizer/tokenizer.ts';
import type { GrowingHold } from './growing-hold.ts';
import { stepTokens } from './hold-size.ts';
import { usageSoFar } from './meter.ts';
import { OutputBound } from './output-bound.ts';
import { soundReading } from './sound-reading.ts';

/** How far a stream was followed. */
export type Followed = Pick<StreamFollower, 'generatedAtMost' | 'reading'>;

/** Decides event by event whether a stream may go on. */
export interface StreamCover {
  /** Whether these bytes, which are to be taken next, are certain to be covered, whatever is in them. */
  isCertain(bytes: Buffer, followed: Followed): boolean;
  /** They were taken and may be delivered; looks at what they come to where that is worth it. */
  took(bytes: Buffer, followed: Followed): void;
  /**
   * Whether all that was taken until now, with these bytes as the last, may be delivered. Null: at once, and so it is
   * nearly always. Otherwise it is to be waited for, and a refusal is how the client is told that it ends here.
   * @param delivered what was taken before; null where that was nothing
   */
  decide(bytes: Buffer, followed: Followed, delivered: StreamReading | null): Promise<Refusal | null> | null;
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

/** Without these letters there is none, and most events don't have them. */
const usageMark = Buffer.from('sage');

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
  /** How much was generated at most when it was looked at last. */
  #lookedAt = 0;
  /** By so many tokens it may grow before the next look. */
  #comfortableTokens = 0;
  /** By so many tokens it may grow and is still certain to be covered. */
  #coveredTokens = 0;
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

  isCertain(bytes: Buffer, { generatedAtMost }: Followed): boolean {
    // No token is less than a byte.
    const grown = generatedAtMost - this.#lookedAt + this.#openBytes + bytes.length;
    return grown <= this.#coveredTokens && !this.#mayHaveUsage(bytes);
  }

  took(bytes: Buffer, followed: Followed): void {
    this.#passBy(bytes);
    if (followed.generatedAtMost - this.#lookedAt <= this.#comfortableTokens) return;
    const reading = soundOf(followed);
    const amount = this.#look(reading, followed.generatedAtMost);
    if (amount > this.#options.hold.comfortableAmount) this.#follow(reading, amount);
  }

  decide(bytes: Buffer, followed: Followed): Promise<Refusal | null> | null {
    const { hold } = this.#options;
    this.#passBy(bytes);
    const reading = soundOf(followed);
    const amount = this.#look(reading, followed.generatedAtMost);
    if (amount > hold.coveredAmount) return this.#cover(reading, followed.generatedAtMost);
    if (amount > hold.comfortableAmount) this.#follow(reading, amount);
    return null;
  }

  /** @returns what it comes to at most */
  #look(reading: StreamReading, generatedAtMost: number): NanoUsd {
    const { generated } = reading;
    let amount = this.#amountOf(reading, this.#output.byLength(generated));
    // It takes all of the text, which is long: once, and not for each event until the count is there.
    if (amount > this.#options.hold.comfortableAmount && this.#counting === null) {
      amount = this.#amountOf(reading, this.#output.byBytes(generated));
    }
    this.#lookedAtMost(amount, generatedAtMost);
    return amount;
  }

  #lookedAtMost(amount: NanoUsd, generatedAtMost: number): void {
    const { comfortableAmount, coveredAmount } = this.#options.hold;
    this.#lookedAt = generatedAtMost;
    this.#comfortableTokens = this.#tokensBetween(amount, comfortableAmount);
    this.#coveredTokens = this.#tokensBetween(amount, coveredAmount);
  }

  #follow(reading: StreamReading, amount: NanoUsd): void {
    if (this.#counting !== null) return;
    if (this.#output.uncountedBytes(reading.generated) >= leastCountedBytes) void this.#countBehind(reading);
    else this.#options.hold.follow(amount);
  }

  /** Counts may begin in one piece and end in another. */
  #mayHaveUsage(bytes: Buffer): boolean {
    if (this.#usageIsOpen) return true;
    const before = this.#lastText;
    const isMentioned =
      bytes.includes(usageMark) || (before !== '' && startIn(before, bytes).includes('sage'));
    return isMentioned && mayBeUsage.test(before + bytes.toString('latin1'));
  }

  #passBy(bytes: Buffer): void {
    if (endsWithBlankLine(bytes)) {
      this.#openBytes = 0;
      this.#usageIsOpen = false;
      this.#lastText = '';
      return;
    }
    this.#openBytes += bytes.length;
    this.#usageIsOpen = this.#mayHaveUsage(bytes);
    // Not cut off a text of all of it, which would be kept as long as its end is.
    const last = bytes.toString('latin1', Math.max(0, bytes.length - longestMention));
    this.#lastText = (this.#lastText + last).slice(-longestMention);
  }

  /** Stops the stream only by what it would be charged to the token if it were broken off here. */
  async #cover(reading: StreamReading, generatedAtMost: number): Promise<Refusal | null> {
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
    this.#lookedAtMost(amount, generatedAtMost);
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

  /** So many tokens more, however dear they are, and it is less than that. */
  #tokensBetween(amount: NanoUsd, bound: NanoUsd): number {
    const { stepAmount } = this.#options.hold;
    const left = bound - amount - 1n;
    if (left <= 0n) return 0;
    if (stepAmount === 0n) return Number.MAX_SAFE_INTEGER;
    const tokens = (left * BigInt(stepTokens)) / stepAmount;
    return tokens > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(tokens);
  }
}

/** What is told of counts that are none is for the bill to tell. */
function soundOf(followed: Followed): StreamReading {
  return soundReading(followed.reading(), () => undefined);
}

const lf = 0x0a;
const cr = 0x0d;

/** What may be there of a mark that begins in the text before. */
function startIn(before: string, bytes: Buffer): string {
  return before + bytes.toString('latin1', 0, usageMark.length - 1);
}

/** As server-sent events end. Of other streams no end is known, and they are looked at more often. */
function endsWithBlankLine(bytes: Buffer): boolean {
  const last = bytes.length - 1;
  if (bytes[last] !== lf) return false;
  return bytes[last - 1] === lf || (bytes[last - 1] === cr && bytes[last - 2] === lf);
}
