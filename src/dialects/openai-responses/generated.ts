import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, asText, type JsonObject, jsonText } from '../json.ts';
import { type CalledFunction, callsCountable } from '../openai-chat/called-functions.ts';
import { addPiece, joined, type Pieces } from '../text-pieces.ts';

/** A call that follows a text is a message of its own: measured on OpenAI's answers. */
const tokensBetweenTextAndCall = 3;

/** Members of an output item that the model wrote: as text, or as JSON where they are lists or objects. */
const writtenMembers = [
  'name',
  'arguments',
  'input',
  'code',
  'action',
  'operation',
  'queries',
  'revised_prompt',
] as const;

/** Items that only carry what a tool gave back, which the model reads and doesn't write. */
function isToolOutput(type: string): boolean {
  return type.endsWith('_output') || type === 'mcp_list_tools';
}

/** The texts of a whole output item, each at a place of its own. */
function textsOfItem(item: JsonObject): string[] {
  if (isToolOutput(asText(item.type) ?? '')) return [];
  const texts: (string | null)[] = [];
  for (const entry of [...(asArray(item.content) ?? []), ...(asArray(item.summary) ?? [])]) {
    const { text, refusal, transcript } = asObject(entry) ?? {};
    texts.push(asText(text), asText(refusal), asText(transcript));
  }
  const written = writtenMembers.flatMap((member) => textsOfMember(item[member]));
  return [...texts, ...written].filter((text) => text !== null);
}

function textsOfMember(value: unknown): (string | null)[] {
  if (typeof value !== 'object') return [asText(value)];
  const { commands, command, query } = asObject(value) ?? {};
  const written = asArray(commands) ?? asArray(command) ?? (query === undefined ? null : [query]);
  return written === null ? [value === null ? null : jsonText(value)] : written.map(asText);
}

/** One output item: from its deltas while they come, from the whole of it once that has as much. */
interface ItemText {
  /** Each text by the kind of its events and its index. */
  readonly texts: Map<string, Pieces>;
  name: string | null;
  isCall: boolean;
}

function lengthOf({ texts, name }: ItemText): number {
  let length = name?.length ?? 0;
  for (const pieces of texts.values()) for (const piece of pieces) length += piece.length;
  return length;
}

function wholeItem(item: JsonObject): ItemText {
  const isCall = isFunctionCall(item);
  const texts = isCall ? [asText(item.arguments) ?? asText(item.input) ?? ''] : textsOfItem(item);
  return {
    texts: new Map(texts.map((text, index) => [String(index), [text]])),
    name: isCall ? asText(item.name) : null,
    isCall,
  };
}

function isFunctionCall({ type }: JsonObject): boolean {
  return type === 'function_call' || type === 'custom_tool_call';
}

/**
 * The text that a model generated, collected from the events of a stream or from whole output items. The
 * same text comes up to four times (deltas, the text, its item, the whole answer) and counts once: what
 * comes later takes the place of what came before, unless it has less of it.
 */
export class GeneratedText {
  #items = new Map<unknown, ItemText>();
  #isEmpty = true;

  /** Whether there was no output item, not even one without text: reasoning is often hidden. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** @param place the item's `output_index`; any value keeps its item apart from the others */
  addDelta(place: unknown, slot: string, delta: string): void {
    if (delta !== '') addPiece(this.#item(place).texts, slot, delta);
  }

  /** A text that has ended, in the place of its deltas. */
  setText(place: unknown, slot: string, text: string): void {
    const { texts } = this.#item(place);
    if (text.length > joined(texts.get(slot) ?? []).length) texts.set(slot, [text]);
  }

  /** An item as it begins: of a call, its name, which no delta has. */
  beginItem(place: unknown, item: JsonObject): void {
    const text = this.#item(place);
    text.name = asText(item.name);
    text.isCall = isFunctionCall(item);
  }

  setItem(place: unknown, item: JsonObject): void {
    const whole = wholeItem(item);
    if (lengthOf(whole) >= lengthOf(this.#item(place))) this.#items.set(place, whole);
  }

  /** The output of a whole answer. Its items may stand elsewhere than in the stream, so it is all or nothing. */
  setOutput(output: readonly unknown[]): void {
    const items = output.map((entry) => asObject(entry)).filter((item) => item !== null);
    if (items.length > 0) this.#isEmpty = false;
    const whole = new Map(items.map((item, index) => [index, wholeItem(item)]));
    if (totalLength(whole) >= totalLength(this.#items)) this.#items = whole;
  }

  /** @param isForced whether the model had no choice but to call one function: it then writes the arguments only */
  countable(isForced: boolean): Countable {
    const texts: string[] = [];
    const calls: CalledFunction[] = [];
    for (const { isCall, name, texts: slots } of this.#items.values()) {
      const written = Array.from(slots.values(), joined);
      if (isCall) calls.push({ name: name ?? '', args: written.join('') });
      else for (const text of [name ?? '', ...written]) if (text !== '') texts.push(text);
    }
    const called = isForced ? argumentsOf(calls) : callsCountable(calls, 'chosen');
    const between = calls.length > 0 && texts.length > 0 ? tokensBetweenTextAndCall : 0;
    return {
      texts: [...texts, ...called.texts.filter((text) => text !== '')],
      overhead: called.overhead + between,
    };
  }

  #item(place: unknown): ItemText {
    this.#isEmpty = false;
    let item = this.#items.get(place);
    if (item === undefined) {
      item = { texts: new Map(), name: null, isCall: false };
      this.#items.set(place, item);
    }
    return item;
  }
}

function argumentsOf(calls: readonly CalledFunction[]): Countable {
  return { texts: calls.map(({ args }) => args), overhead: 0 };
}

function totalLength(items: ReadonlyMap<unknown, ItemText>): number {
  let length = 0;
  for (const item of items.values()) length += lengthOf(item);
  return length;
}
