import type { Quirks } from '../../domain/quirks.ts';
import type { Usage } from '../../domain/usage.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, type JsonObject } from '../json.ts';
import type { Choices } from '../openai/choices.ts';
import { BilledExtras } from './billed-extras.ts';
import { GeneratedText } from './generated.ts';
import { usageFor } from './usage.ts';

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

  /** @param member where a choice has what was generated: `message` in a whole answer, `delta` in a chunk */
  constructor(quirks: Quirks, member: 'message' | 'delta') {
    this.#quirks = quirks;
    this.#member = member;
  }

  open(answer: JsonObject): readonly unknown[] | null {
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

  generated(): Countable {
    return this.#text.countable();
  }

  units(): Usage {
    return this.#extras.seen();
  }

  usageOf(reported: JsonObject | null): Usage | null {
    const usage = usageFor(reported, this.#quirks, this.#text);
    return usage === null || reported === null ? null : this.#extras.addedTo(usage, reported);
  }
}
