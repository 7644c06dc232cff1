import type { Attributes } from '@opentelemetry/api';
import type { Outcome } from '../../domain/transaction.ts';
import { inputTokens, outputTokens, type Usage, type UsageClass } from '../../domain/usage.ts';
import type { TracedCall, UpstreamEnd } from '../tracer.ts';

// The names are those of OpenTelemetry's semantic conventions for generative AI, span "gen_ai.client.inference":
// https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md

const operations: ReadonlyMap<string, string> = new Map([
  ['openai.completions', 'text_completion'],
  ['openai.embeddings', 'embeddings'],
  ['gemini.generate', 'generate_content'],
]);

/** Counting tokens has no name in the conventions. */
function operationOf({ dialect, request }: TracedCall): string {
  return request.isFree ? 'count_tokens' : (operations.get(dialect.name) ?? 'chat');
}

/** Ours on the left; a provider that the conventions don't know keeps its own. */
const providers: ReadonlyMap<string, string> = new Map([
  ['azure', 'azure.ai.openai'],
  ['bedrock', 'aws.bedrock'],
  ['gemini', 'gcp.gemini'],
  ['google', 'gcp.gemini'],
  ['mistral', 'mistral_ai'],
  ['moonshot', 'moonshot_ai'],
  ['vertex', 'gcp.vertex_ai'],
  ['xai', 'x_ai'],
]);

const usualPorts: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

function serverOf(baseUrl: string): Attributes {
  if (!URL.canParse(baseUrl)) return {};
  const { hostname, port, protocol } = new URL(baseUrl);
  return { 'server.address': hostname, 'server.port': port === '' ? usualPorts[protocol] : Number(port) };
}

export function callName(call: TracedCall): string {
  return `${operationOf(call)} ${call.route.upstreamModel}`;
}

/** What is known when upstream is asked: a sampler may decide by it. */
export function callAttributes(call: TracedCall): Attributes {
  const { request, route, upstream, clampedOutput } = call;
  const maxTokens = clampedOutput ?? request.maxOutputTokens;
  return {
    'gen_ai.operation.name': operationOf(call),
    'gen_ai.provider.name': providers.get(upstream.provider.toLowerCase()) ?? upstream.provider,
    'gen_ai.request.model': route.upstreamModel,
    ...(request.stream ? { 'gen_ai.request.stream': true } : {}),
    ...(request.choices === 1 ? {} : { 'gen_ai.request.choice.count': request.choices }),
    ...(maxTokens === null ? {} : { 'gen_ai.request.max_tokens': maxTokens }),
    ...serverOf(upstream.baseUrl),
    'tollgate.upstream.id': upstream.id,
  };
}

/** The conventions' counts contain each other, where our classes are disjoint. */
const details: readonly { readonly name: string; readonly classes: readonly UsageClass[] }[] = [
  { name: 'cache_read.input_tokens', classes: ['cache_read', 'cache_read_audio'] },
  { name: 'cache_write.input_tokens', classes: ['cache_write_5m', 'cache_write_1h'] },
  { name: 'audio.input_tokens', classes: ['input_audio', 'cache_read_audio'] },
  { name: 'reasoning.output_tokens', classes: ['reasoning'] },
  { name: 'audio.output_tokens', classes: ['output_audio'] },
  { name: 'image.output_tokens', classes: ['output_image'] },
];

/** The same numbers that the transaction has. What was not reported is absent: it isn't zero. */
export function usageAttributes(usage: Usage): Attributes {
  const attributes: Attributes = {
    'gen_ai.usage.input_tokens': inputTokens(usage),
    'gen_ai.usage.output_tokens': outputTokens(usage),
  };
  for (const { name, classes } of details) {
    const counts = classes.map((one) => usage[one]).filter((count) => count !== undefined);
    if (counts.length > 0) attributes[`gen_ai.usage.${name}`] = counts.reduce((sum, count) => sum + count, 0);
  }
  return attributes;
}

export function answerAttributes({ outcome, metered, reading }: UpstreamEnd): Attributes {
  return {
    'tollgate.outcome': outcome,
    ...(metered === null
      ? {}
      : { ...usageAttributes(metered.usage), 'tollgate.usage.method': metered.method }),
    ...(reading === null ? {} : readingAttributes(outcome, reading)),
  };
}

type Reading = NonNullable<UpstreamEnd['reading']>;

function readingAttributes(outcome: Outcome, reading: Reading): Attributes {
  const finishReason = outcome === 'completed' ? nameOf(reading.finishReason) : 'error';
  const responseId = nameOf(reading.responseId);
  const responseModel = nameOf(reading.responseModel);
  return {
    ...(finishReason === null ? {} : { 'gen_ai.response.finish_reasons': [finishReason] }),
    ...(responseId === null ? {} : { 'gen_ai.response.id': responseId }),
    ...(responseModel === null ? {} : { 'gen_ai.response.model': responseModel }),
  };
}

const shapeOfNames = /^[\x21-\x7e]{1,256}$/;

/** A name that a provider gave; where it is none, it might be text. */
function nameOf(given: string | null): string | null {
  return given !== null && shapeOfNames.test(given) ? given : null;
}
