import { type Answer, composeAnswer } from './answer.ts';
import { answerEvents } from './chunks.ts';
import { completionBody } from './completion.ts';
import { type Directives, parseDirectives } from './directives.ts';
import { contextExceeded, errorBody, serverError } from './errors.ts';
import { bodyPackets, junk, refusalFor, streamPackets } from './faults.ts';
import { jsonType, type Outbound } from './outbound.ts';
import type { PromptCounter } from './prompt-tokens.ts';
import { type Draws, drawsFor, randomId } from './random.ts';
import { pour } from './stream.ts';
import { parseChatRequest } from './validation.ts';

export interface ChatOptions {
  readonly seed: string;
  readonly prompts: PromptCounter;
}

/** An answer on its way. */
interface Delivery {
  readonly answer: Answer;
  readonly directives: Directives;
  readonly draws: Draws;
  readonly headers: Readonly<Record<string, string>>;
}

/** Answers one `POST /v1/chat/completions`. */
export async function answerChat(body: Buffer, outbound: Outbound, options: ChatOptions): Promise<void> {
  const draws = drawsFor(options.seed, body);
  const headers = { 'x-request-id': `req_${randomId(draws.sequence('requestId'), 32)}` };
  const parsed = parseChatRequest(body);
  if (!parsed.ok) return outbound.refuse(parsed.error, headers);
  const request = parsed.value;
  outbound.request.model = request.model;
  const directed = parseDirectives(request.model, outbound.request.headers);
  if (!directed.ok) return outbound.refuse(directed.error, headers);
  const { model, directives } = directed.value;
  const promptTokens = options.prompts.count(request, directives.context_tokens);
  if (promptTokens > directives.context_tokens) {
    return outbound.refuse(contextExceeded(directives.context_tokens, promptTokens), headers);
  }

  await outbound.sleepUntil(performance.now() + directives.ttfb_ms);
  if (outbound.gone || failAsAsked(outbound, directives, headers)) return;

  const answer = composeAnswer({ request, model, directives, promptTokens, draws });
  outbound.request.usage = answer.usage;
  const delivery = { answer, directives, draws, headers };
  if (request.stream === true) {
    await deliverStream(outbound, delivery, request.stream_options?.include_usage === true);
  } else {
    await deliverBody(outbound, delivery);
  }
}

/** @returns whether a fault took the place of the whole answer */
function failAsAsked(outbound: Outbound, directives: Directives, headers: Delivery['headers']): boolean {
  const { ending } = directives.fault;
  const refusal = refusalFor(ending, directives);
  if (refusal !== null) {
    outbound.refuse(refusal, headers);
    return true;
  }
  switch (ending) {
    case 'no_connection':
      outbound.disconnect();
      return true;
    case 'stall_headers':
      return true;
    case 'error_in_200':
      outbound.breaks();
      outbound.respond(200, { ...jsonType, ...headers }, errorBody(serverError()));
      return true;
    default:
      return false;
  }
}

async function deliverStream(outbound: Outbound, delivery: Delivery, includeUsage: boolean): Promise<void> {
  const { answer, directives, draws, headers } = delivery;
  const { ending } = directives.fault;
  outbound.begin(200, { 'content-type': 'text/event-stream; charset=utf-8', ...headers });
  const events = answerEvents(answer, includeUsage, directives);
  await pour(outbound, streamPackets(events, directives, draws.sequence('faults')), directives);
  if (ending === 'stall') return outbound.stall();
  if (ending === 'cut') return outbound.disconnect();
  if (ending === 'error_event') outbound.breaks();
  outbound.finish();
}

async function deliverBody(outbound: Outbound, delivery: Delivery): Promise<void> {
  const { answer, directives, draws } = delivery;
  const { ending, usage: usageFault, layout } = directives.fault;
  const { tokens_per_second: speed, reasoning_field: field } = directives;
  const random = draws.sequence('faults');
  const { completionTokens, reasoningTokens } = answer.usage;
  // A body comes when all of it is generated.
  if (speed > 0) await outbound.sleepUntil(performance.now() + (1000 * completionTokens) / speed);
  const headers = { ...jsonType, ...delivery.headers };
  if (ending === 'error_event') {
    outbound.breaks();
    return outbound.respond(200, headers, errorBody(serverError()));
  }
  const isJunk = layout.has('junk_bytes');
  const body = isJunk ? junk(random) : Buffer.from(completionBody(answer, usageFault));
  const toldTokens = field === 'hidden' ? completionTokens - reasoningTokens : completionTokens;
  const tokens = isJunk ? 0 : toldTokens;
  if (ending === 'cut' || ending === 'stall') {
    outbound.begin(200, { ...headers, 'content-length': body.length });
    await outbound.send({ bytes: body.subarray(0, body.length >> 1), events: 0, tokens: 0 });
    return ending === 'cut' ? outbound.disconnect() : undefined;
  }
  if (layout.has('split_bytes')) {
    outbound.begin(200, headers);
    await pour(outbound, bodyPackets(body, tokens, random), { ...directives, tokens_per_second: 0 });
    return outbound.finish();
  }
  outbound.respond(200, headers, body, tokens);
}
