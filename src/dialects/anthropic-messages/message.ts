import type { Usage } from '../../domain/usage.ts';
import { type AnswerContext, type AnswerReading, nothingSaid } from '../dialect.ts';
import type { JsonObject } from '../json.ts';
import type { GeneratedText } from './generated.ts';
import { startsThread } from './request.ts';
import { serviceTierOf } from './service-tier.ts';
import { isWholeCount, type MessageUsage, readUsage } from './usage.ts';

/** A message as far as it has come, whole or from a stream. */
export interface Message {
  readonly id: string | null;
  /** Upstream's name of what answers; null where it doesn't say. */
  readonly model: string | null;
  readonly generated: GeneratedText;
  readonly stopReason: string | null;
  /** The `usage` object; null where there is none yet. */
  readonly reported: JsonObject | null;
  /** Whether that object is of all that was generated. */
  readonly usageIsFinal: boolean;
  readonly error: string | null;
}

/** Searches of a stream that broke off before its counters came: each had brought its results. */
function withSearches(usage: Usage, { webSearches }: GeneratedText): Usage {
  return webSearches === 0 || usage.web_search !== undefined ? usage : { ...usage, web_search: webSearches };
}

function usageOf({ reported, generated, usageIsFinal }: Message): MessageUsage | null {
  const usage = reported === null ? null : readUsage(reported);
  if (usage === null) return null;
  if (!usageIsFinal) return { ...usage, own: withSearches(usage.own, generated) };
  return generated.isEmpty || isWholeCount(usage) ? usage : null;
}

/**
 * Declined before a word of the answer: its usage has the prompt, and Anthropic doesn't bill it (release
 * notes of 2 June 2026).
 */
export function isRefusedUnbilled({ stopReason, generated, reported }: Message): boolean {
  return stopReason === 'refusal' && generated.isEmpty && reported?.output_tokens === 0;
}

const refused = 'refused before any output, which the provider does not bill';

/** Meters a message. */
export function readMessage(message: Message, { request }: Pick<AnswerContext, 'request'>): AnswerReading {
  const { id, model, generated, stopReason, reported, error } = message;
  const isFree = isRefusedUnbilled(message);
  const usage = isFree ? null : usageOf(message);
  return {
    ...nothingSaid,
    usage: usage?.own ?? null,
    otherModels: usage?.others ?? [],
    generated: generated.countable(model ?? request.model),
    finishReason: stopReason,
    error: error ?? (isFree ? refused : null),
    serviceTier: reported === null ? null : serviceTierOf(reported),
    reported,
    answerId: startsThread(request) ? id : null,
    responseId: id,
    responseModel: model,
  };
}
