import type { Quirks } from '../../domain/quirks.ts';
import type { Usage } from '../../domain/usage.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import type { Choices } from '../openai/choices.ts';
import { BilledExtras } from './billed-extras.ts';
import { GeneratedText } from './generated.ts';
import { usageFor } from './usage.ts';

/**
 * Tokens around the text of an answer, beside its reasoning: recorded answers of gpt-5 have 9, of those
 * that came after it 3 or 4. The first row that matches the model's name counts.
 */
const frames: readonly { readonly models: RegExp; readonly tokens: number }[] = [
  { models: /^gpt-5(?!\.)/, tokens: 9 },
  { models: /^gpt-(5\.|[6-9])/, tokens: 3 },
];

function frameTokens(model: string): number {
  return frames.find(({ models }) => models.test(model))?.tokens ?? 0;
}

/**
 * The choices of a chat completion.
 *
 * A chunk's piece of a choice is its `delta` alone: Perplexity sends the whole message so far beside each.
 */
export class ChatChoices implements Choices {
  readonly #quirks: Quirks;
  readonly #member: 'message' | 'delta';
  readonly #text = new GeneratedText();
  readonly #extras = new BilledExtras();
  #model = '';

  /** @param member where a choice has what was generated: `message` in a whole answer, `delta` in a chunk */
  constructor(quirks: Quirks, member: 'message' | 'delta') {
    this.#quirks = quirks;
    this.#member = member;
  }

  open(answer: JsonObject): readonly unknown[] | null {
    this.#model = asText(answer.model) ?? this.#model;
    this.#extras.takeModel(answer.model);
    return asArray(answer.choices);
  }

  add(index: unknown, choice: JsonObject): boolean {
    this.#text.end(index, choice.finish_reason);
    const message = asObject(choice[this.#member]);
    if (message === null) return false;
    this.#extras.takeMessage(index, message);
    return this.#text.add(index, message);
  }

  textBytes(choice: JsonObject): number | null {
    const message = asObject(choice[this.#member]);
    return message === null ? 0 : bytesOfTexts(message);
  }

  generated(): Countable {
    const { texts, overhead } = this.#text.countable();
    const frame = texts.length === 0 ? 0 : frameTokens(this.#model);
    return { texts, overhead: overhead + frame };
  }

  get unitCount(): number {
    return this.#extras.count;
  }

  units(): Usage {
    return this.#extras.seen();
  }

  usageOf(reported: JsonObject | null): Usage | null {
    const usage = usageFor(reported, this.#quirks, this.#text);
    return usage === null || reported === null ? null : this.#extras.addedTo(usage, reported);
  }
}

/** Whatever has members of its own, a call above all, comes with tokens around its texts. */
function bytesOfTexts(message: JsonObject): number | null {
  let bytes = 0;
  for (const name in message) {
    const value = message[name];
    if (typeof value === 'string') bytes += Buffer.byteLength(value);
    else if (typeof value === 'object' && value !== null) return null;
  }
  return bytes;
}
