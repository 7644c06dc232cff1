import type { Usage } from '../../domain/usage.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { AnswerReading } from '../dialect.ts';
import { asObject, asText, type JsonObject } from '../json.ts';

/**
 * In what the formats with a list of choices differ: how a choice shows what was generated, and what is
 * billed for it. Everything else of an answer, and of a stream of its chunks, is alike.
 */
export interface Choices {
  /** Notes what an answer, or a chunk of one, says beside its choices, and gives their list; null where it has none. */
  open(answer: JsonObject): readonly unknown[] | null;
  /**
   * @param index the choice's own; any value keeps its choice apart from the others
   * @returns whether the choice, or this piece of it, had anything that was generated
   */
  add(index: unknown, choice: JsonObject): boolean;
  /** How many bytes of text this piece of a choice has at most; null where it may add more than that of a text. */
  textBytes(choice: JsonObject): number | null;
  /** Everything that was generated so far. */
  generated(): Countable;
  /** Units beside tokens that the choices show. */
  units(): Usage;
  /** Another number where `units` is another. */
  readonly unitCount: number;
  /** Upstream's usage as it is billed; null where there is none, or none that can be true. */
  usageOf(reported: JsonObject | null): Usage | null;
}

export interface TakenChoices {
  /** How many there were; null where the answer has no list of them. */
  readonly count: number | null;
  readonly hasContent: boolean;
  /** Of all of them, as `Choices` tells it of one. */
  readonly textBytes: number | null;
  /** Of the first choice; null where it doesn't say. */
  readonly finishReason: string | null;
}

/** Takes in the choices of an answer, or of a chunk of one. */
export function takeChoices(answer: JsonObject, choices: Choices): TakenChoices {
  const list = choices.open(answer);
  let hasContent = false;
  let textBytes: number | null = 0;
  let finishReason: string | null = null;
  for (const [position, entry] of (list ?? []).entries()) {
    const choice = asObject(entry);
    if (choice === null) continue;
    const index = choice.index ?? position;
    if (choices.add(index, choice)) hasContent = true;
    textBytes = addedOrNull(textBytes, choices.textBytes(choice));
    if (index === 0) finishReason = asText(choice.finish_reason) ?? finishReason;
  }
  return { count: list?.length ?? null, hasContent, textBytes, finishReason };
}

function addedOrNull(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}

export type AnswerName = Pick<AnswerReading, 'responseId' | 'responseModel'>;

export function answerNameOf({ id, model }: JsonObject): AnswerName {
  return { responseId: asText(id), responseModel: asText(model) };
}

/** The service tier that served an answer: some providers name it in its usage. */
export function serviceTierOf(answer: JsonObject, usage: JsonObject | null): string | null {
  return asText(answer.service_tier) ?? asText(usage?.service_tier);
}
