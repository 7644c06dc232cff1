import type { AnswerReading, DialectRequest } from '../dialects/dialect.ts';
import { inputTokens, type MeteredUsage, outputTokens, type Usage } from '../domain/usage.ts';
import type { Observer } from '../observability/observer.ts';
import type { Countable, Tokenizer } from '../tokenizer/tokenizer.ts';

export interface MeterOptions {
  readonly tokenizer: Tokenizer;
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

/** Every request is one request, whatever else it used. */
const oneRequest = { requests: 1 } as const;

/** A token is about four bytes of text; used only where counting itself failed. */
const bytesPerToken = 4;

/**
 * What was used: upstream's own number where there is one for the whole answer, otherwise our count of
 * the prompt and of what was generated.
 */
export async function meter(metering: Metering, options: MeterOptions): Promise<MeteredUsage> {
  const { reading, complete } = metering;
  if (complete && reading.usage !== null) {
    return { usage: { ...reading.usage, ...oneRequest }, method: 'usage' };
  }
  const counted = await count(metering, options);
  return reading.usage === null ? counted : atLeast(reading.usage, counted);
}

async function count(
  { request, upstreamModel, reading }: Metering,
  { tokenizer, observer }: MeterOptions,
): Promise<MeteredUsage> {
  try {
    const [input, output] = await Promise.all([
      tokenizer.count(upstreamModel, request.prompt()),
      tokenizer.count(upstreamModel, reading.generated),
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
  const { output: _, reasoning: __, output_audio: ___, ...inputs } = reported;
  const usage = inputTokens(reported) > 0 ? { ...inputs, output } : counted.usage;
  return { usage: { ...usage, ...oneRequest }, method: counted.method };
}
