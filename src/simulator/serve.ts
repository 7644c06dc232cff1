import { deliverBody, deliverStream } from './deliver.ts';
import { parseDirectives } from './directives.ts';
import { refusalFor } from './faults.ts';
import type { Call, Format } from './format.ts';
import { jsonType, type Outbound } from './outbound.ts';
import type { PromptCounter } from './prompt-tokens.ts';
import { drawsFor, randomId } from './random.ts';

export interface ServeOptions {
  readonly seed: string;
  readonly prompts: PromptCounter;
}

/** Answers one request of any wire format. */
export async function serve(
  call: Call,
  format: Format,
  outbound: Outbound,
  options: ServeOptions,
): Promise<void> {
  const { wording } = format;
  const draws = drawsFor(options.seed, format.drawnFrom(call));
  const requestId = `req_${randomId(draws.sequence('requestId'), 32)}`;
  const parsed = format.read(call);
  if (!parsed.ok) return outbound.refuse(parsed.error, wording, requestId);
  const asked = parsed.value;
  outbound.request.model = asked.model;
  const directed = parseDirectives(asked.model, call.headers);
  if ('message' in directed) {
    const { message, param } = directed;
    return outbound.refuse(wording.invalid(message, param, 'invalid_directive'), wording, requestId);
  }
  const { model, directives } = directed;
  const limit = directives.context_tokens;
  const promptTokens = options.prompts.count(asked.prompt, limit);
  if (promptTokens > limit) {
    return outbound.refuse(format.contextExceeded(limit, promptTokens), wording, requestId);
  }

  await outbound.sleepUntil(performance.now() + directives.ttfb_ms);
  if (outbound.gone) return;
  const { ending } = directives.fault;
  const refusal = refusalFor(ending, wording, directives.retry_after_seconds);
  if (refusal !== null) return outbound.refuse(refusal, wording, requestId);
  if (ending === 'no_connection') return outbound.disconnect();
  if (ending === 'stall_headers') return;

  const reply = asked.reply({ model, directives, promptTokens, draws });
  const headers = wording.headers(requestId);
  if (ending === 'error_in_200') {
    outbound.breaks();
    return outbound.respond(200, { ...jsonType, ...headers }, reply.failedBody());
  }
  outbound.request.usage = reply.usage;
  const delivery = { reply, directives, headers, random: draws.sequence('faults') };
  await (reply.stream === null
    ? deliverBody(outbound, delivery)
    : deliverStream(outbound, delivery, reply.stream));
}
