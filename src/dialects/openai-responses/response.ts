import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { AnswerContext, AnswerReading } from '../dialect.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { errorMessage } from '../openai/errors.ts';
import { statedCost } from '../openai/stated-cost.ts';
import { containerSizes } from './containers.ts';
import type { GeneratedText } from './generated.ts';
import { imageModelOf, type ToolCalls, type ToolReports } from './tool-calls.ts';
import { usageFor } from './usage.ts';

/** What matters of a `response` object; the rest of it, images among it, needn't be kept. */
export interface ResponseFacts extends ToolReports {
  /** Whether the model had no choice but to call one function. */
  readonly callIsForced: boolean;
  readonly finishReason: string | null;
  readonly error: string | null;
  readonly serviceTier: string | null;
  readonly answerId: string | null;
  readonly responseId: string | null;
  readonly responseModel: string | null;
}

export const noResponse: ResponseFacts = {
  usage: null,
  toolUsage: null,
  imageModel: null,
  containerSizes: new Map(),
  callIsForced: false,
  finishReason: null,
  error: null,
  serviceTier: null,
  answerId: null,
  responseId: null,
  responseModel: null,
};

const failures: ReadonlySet<unknown> = new Set(['failed', 'cancelled']);

function errorOf({ error, status }: JsonObject): string | null {
  const message = errorMessage(error);
  return message === null && failures.has(status) ? `status: ${status}` : message;
}

/**
 * The name by which a later request goes on from this answer. One that belongs to a conversation is gone on
 * from by the conversation's id: OpenAI refuses it beside `previous_response_id`.
 */
function answerIdOf({ id, conversation, store }: JsonObject): string | null {
  const conversationId = asText(conversation) ?? asText(asObject(conversation)?.id);
  return conversationId ?? (store === false ? null : asText(id));
}

function isForced({ tool_choice: choice, tools }: JsonObject): boolean {
  return asObject(choice)?.type === 'function' || (choice === 'required' && asArray(tools)?.length === 1);
}

export function factsOf(response: JsonObject): ResponseFacts {
  const tier = asText(response.service_tier);
  return {
    usage: asObject(response.usage),
    toolUsage: asObject(response.tool_usage),
    imageModel: imageModelOf(response.tools),
    containerSizes: containerSizes(response.tools),
    callIsForced: isForced(response),
    finishReason: asText(asObject(response.incomplete_details)?.reason) ?? asText(response.status),
    error: errorOf(response),
    // The tier that was asked for, until the answer has ended; "auto" leaves it open.
    serviceTier: tier === 'auto' ? null : tier,
    answerId: answerIdOf(response),
    responseId: asText(response.id),
    responseModel: asText(response.model),
  };
}

export function outputOf(response: JsonObject): readonly unknown[] {
  return asArray(response.output) ?? [];
}

/** Everything that was seen of one answer, whole or so far. */
export interface Seen {
  readonly facts: ResponseFacts;
  readonly generated: GeneratedText;
  readonly toolCalls: ToolCalls;
  /** Of the answer, or of the stream around it. */
  readonly error: string | null;
  readonly finishReason: string | null;
}

/** The token that ends an answer is counted with its output: measured on OpenAI's, but for those cut at their maximum. */
const tokensOfEnd = 1;

function countableOf({ facts, generated, finishReason }: Seen): Countable {
  const { texts, overhead } = generated.countable(facts.callIsForced);
  const hasEnd = texts.length > 0 && finishReason === 'completed';
  return { texts, overhead: hasEnd ? overhead + tokensOfEnd : overhead };
}

export function readingOf(seen: Seen, quirks: AnswerContext['quirks']): AnswerReading {
  const { facts, generated, toolCalls, error, finishReason } = seen;
  const beside = { isEmpty: generated.isEmpty, failed: error !== null };
  const usage = usageFor(facts.usage, quirks, beside);
  const units = toolCalls.units(facts);
  return {
    usage: usage === null ? null : { ...usage, ...units },
    units,
    otherModels: toolCalls.otherModels(facts),
    generated: countableOf(seen),
    finishReason,
    error,
    serviceTier: facts.serviceTier,
    statedCost: statedCost(facts.usage),
    reported: facts.usage,
    answerId: facts.answerId,
    responseId: facts.responseId,
    responseModel: facts.responseModel,
  };
}
