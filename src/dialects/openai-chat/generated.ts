import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { addText, joined, type Pieces } from '../text-pieces.ts';
import { type CallReason, callsCountable } from './called-functions.ts';

/** A call that follows a text is a message of its own: measured on OpenAI's answers. */
const tokensBetweenTextAndCall = 3;

interface ToolCallText {
  readonly name: Pieces;
  readonly arguments: Pieces;
}

interface ChoiceText {
  readonly content: Pieces;
  readonly reasoning: Pieces;
  readonly refusal: Pieces;
  readonly transcript: Pieces;
  readonly toolCalls: Map<unknown, ToolCallText>;
  lastToolCall: unknown;
  finishReason: unknown;
}

/** Legacy `function_call` deltas have no place in the list of tool calls, and need one here. */
const functionCallPlace = 'function_call';

/**
 * The text that a model generated, collected from the deltas of a stream or from whole messages. It is
 * counted only where upstream reports no usage, so nothing but the text is kept.
 */
export class GeneratedText {
  readonly #choices = new Map<unknown, ChoiceText>();
  #isEmpty = true;

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /**
   * @param choice the choice's index; any value keeps its choice apart from the others
   * @param delta a `delta` of a chunk, or a `message` of a whole answer
   * @returns whether it had any text
   */
  add(choice: unknown, delta: JsonObject): boolean {
    const text = this.#choice(choice);
    const found = [
      addContent(delta.content, text),
      addReasoning(delta, text),
      addText(text.refusal, delta.refusal),
      addText(text.transcript, asObject(delta.audio)?.transcript),
      addToolCalls(delta.tool_calls, text),
      addFunction(delta.function_call, functionCallPlace, text),
    ].includes(true);
    if (found) this.#isEmpty = false;
    return found;
  }

  /** Tells why a choice ended, which decides what a call comes to; null and undefined tell nothing. */
  end(choice: unknown, finishReason: unknown): void {
    if (asText(finishReason) !== null) this.#choice(choice).finishReason = finishReason;
  }

  countable(): Countable {
    const texts: string[] = [];
    let overhead = 0;
    for (const choice of this.#choices.values()) {
      for (const pieces of [choice.content, choice.reasoning, choice.refusal, choice.transcript]) {
        texts.push(joined(pieces));
      }
      const calls = callsCountable(
        [...choice.toolCalls.values()].map((call) => ({
          name: joined(call.name),
          args: joined(call.arguments),
        })),
        callReason(choice.finishReason),
      );
      texts.push(...calls.texts);
      overhead += calls.overhead;
      if (calls.overhead > 0 && choice.content.length > 0) overhead += tokensBetweenTextAndCall;
    }
    return { texts: texts.filter((text) => text !== ''), overhead };
  }

  #choice(index: unknown): ChoiceText {
    let choice = this.#choices.get(index);
    if (choice === undefined) {
      choice = {
        content: [],
        reasoning: [],
        refusal: [],
        transcript: [],
        toolCalls: new Map(),
        lastToolCall: 0,
        finishReason: null,
      };
      this.#choices.set(index, choice);
    }
    return choice;
  }
}

/** An answer that called the function it was told to call ends as if it had called none. */
function callReason(finishReason: unknown): CallReason {
  if (finishReason === null) return 'unknown';
  return finishReason === 'stop' ? 'forced' : 'chosen';
}

/** A text, or a list of parts: text, and, from Mistral, `thinking` with a list of texts in it. */
function addContent(content: unknown, choice: ChoiceText): boolean {
  const parts = asArray(content);
  if (parts === null) return addText(choice.content, content);
  let found = false;
  for (const part of parts) {
    const { text, thinking } = asObject(part) ?? {};
    if (addText(choice.content, text)) found = true;
    for (const thought of asArray(thinking) ?? [{ text: thinking }]) {
      if (addText(choice.reasoning, asObject(thought)?.text)) found = true;
    }
  }
  return found;
}

/** One thought under up to three names: OpenRouter, Avian and Vercel repeat it in `reasoning_details`. */
function addReasoning(delta: JsonObject, { reasoning }: ChoiceText): boolean {
  const found = addText(reasoning, delta.reasoning);
  if (delta.reasoning_content !== delta.reasoning && addText(reasoning, delta.reasoning_content)) return true;
  if (found) return true;
  let foundDetails = false;
  for (const detail of asArray(delta.reasoning_details) ?? []) {
    const { text, summary } = asObject(detail) ?? {};
    if (addText(reasoning, text ?? summary)) foundDetails = true;
  }
  return foundDetails;
}

/** Deltas of one call share an index. Mistral sends none, but each call whole; Gemini not even an id. */
function addToolCalls(toolCalls: unknown, choice: ChoiceText): boolean {
  let found = false;
  for (const [position, entry] of (asArray(toolCalls) ?? []).entries()) {
    const call = asObject(entry);
    if (call === null) continue;
    const place = call.index ?? asText(call.id) ?? (position === 0 ? choice.lastToolCall : position);
    choice.lastToolCall = place;
    if (addFunction(call.function, place, choice)) found = true;
  }
  return found;
}

function addFunction(value: unknown, place: unknown, choice: ChoiceText): boolean {
  const call = asObject(value);
  if (call === null) return false;
  let text = choice.toolCalls.get(place);
  if (text === undefined) {
    text = { name: [], arguments: [] };
    choice.toolCalls.set(place, text);
  }
  const named = addText(text.name, call.name);
  return addText(text.arguments, call.arguments) || named;
}
