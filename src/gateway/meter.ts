import type { AnswerReading, DialectRequest } from '../dialects/dialect.ts';
import type { Soon } from '../domain/soon.ts';
import {
  inputClasses,
  inputTokens,
  type MeteredUsage,
  outputClasses,
  outputTokens,
  toolUnits,
  type Usage,
  type UsageClass,
} from '../domain/usage.ts';
import type { Observer } from '../observability/observer.ts';
import type { Countable, CountedByProvider, CountedSide, Tokenizer } from '../tokenizer/tokenizer.ts';

export interface MeterOptions {
  readonly tokenizer: Pick<Tokenizer, 'count' | 'learn'>;
  readonly observer: Observer;
}

export interface Metering {
  readonly request: DialectRequest;
  /** The upstream's own name of the model. */
  readonly upstreamModel: string;
  readonly reading: AnswerReading;
  /** Whether the answer ran to its end: only then is upstream's usage the whole usage. */
  readonly complete: boolean;
}

const isOutput: ReadonlySet<UsageClass> = new Set(outputClasses);

/** Every request is one request, whatever else it used. */
const oneRequest = { requests: 1 } as const;

/** A token is about four bytes of text; used only where counting itself failed. */
const bytesPerToken = 4;

/**
 * What was used: upstream's own number where there is one for the whole answer, otherwise our count of
 * the prompt and of what was generated.
 */
export function meter(metering: Metering, options: MeterOptions): Soon<MeteredUsage> {
  const { reading, complete } = metering;
  if (complete && reading.usage !== null) {
    options.tokenizer.learn(explained(metering, reading.usage));
    return { usage: { ...reading.usage, ...oneRequest }, method: 'usage' };
  }
  return count(metering, options).then((counted) => usageSoFar(reading, counted));
}

/** What was used up to here, where upstream's own number is not that of the whole answer. */
export function usageSoFar({ usage, units }: AnswerReading, counted: MeteredUsage): MeteredUsage {
  if (usage !== null) return atLeast(usage, counted);
  // Searches and the like were made, whoever counts the tokens.
  return { ...counted, usage: { ...units, ...counted.usage } };
}

async function count(
  { request, upstreamModel, reading, complete }: Metering,
  { tokenizer, observer }: MeterOptions,
): Promise<MeteredUsage> {
  const isCutOff = !complete;
  try {
    const [input, output] = await Promise.all([
      tokenizer.count(upstreamModel, { side: 'input', countable: request.prompt(), isCutOff }),
      tokenizer.count(upstreamModel, { side: 'output', countable: reading.generated, isCutOff }),
    ]);
    return { usage: { input, output, ...oneRequest }, method: 'tiktoken' };
  } catch (error) {
    // The bill must not fail with the counter: an estimate is recorded as what it is.
    observer.fault('counting tokens', error, null);
    const output = estimate(reading.generated);
    return { usage: { input: request.estimatedInputTokens, output, ...oneRequest }, method: 'estimated' };
  }
}

function estimate({ texts, overhead }: Countable): number {
  let bytes = 0;
  for (const text of texts) bytes += Buffer.byteLength(text);
  return overhead + Math.ceil(bytes / bytesPerToken);
}

/**
 * A stream that stopped early may have reported usage for a part of what it generated: the larger of
 * that and our count, so that a longer stream is never cheaper than a shorter one.
 */
function atLeast(reported: Usage, counted: MeteredUsage): MeteredUsage {
  if (outputTokens(reported) >= outputTokens(counted.usage)) {
    return { usage: { ...reported, ...oneRequest }, method: 'usage' };
  }
  // Upstream's number of the input is final from the start; ours replaces only the output.
  const { output = 0 } = counted.usage;
  const others = Object.entries(reported).filter(([usageClass]) => !isOutput.has(usageClass));
  const usage = inputTokens(reported) > 0 ? { ...Object.fromEntries(others), output } : counted.usage;
  return { usage: { ...usage, ...oneRequest }, method: counted.method };
}

/** What a count says of how a model counts: the sides of it that come from nothing but the text that is seen. */
function explained({ request, upstreamModel, reading }: Metering, usage: Usage): CountedByProvider {
  const sides: CountedSide[] = [];
  const explains = { model: upstreamModel, isStream: request.stream, sides };
  if (reading.error !== null || reading.otherModels.length > 0 || hasAny(usage, toolUnits)) return explains;
  // What a cache holds, or an earlier answer, may be more than the request shows.
  if (request.continues === null && !hasAny(usage, otherInput)) {
    sides.push({ side: 'input', tokens: usage.input ?? 0, countable: () => request.prompt() });
  }
  if (!hasAny(usage, otherOutput)) {
    sides.push({ side: 'output', tokens: usage.output ?? 0, countable: () => reading.generated });
  }
  return explains;
}

const otherInput = inputClasses.filter((usageClass) => usageClass !== 'input');
const otherOutput = outputClasses.filter((usageClass) => usageClass !== 'output');

function hasAny(usage: Usage, classes: readonly UsageClass[]): boolean {
  return classes.some((usageClass) => (usage[usageClass] ?? 0) > 0);
}
