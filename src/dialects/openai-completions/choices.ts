import type { Quirks } from '../../domain/quirks.ts';
import type { Usage } from '../../domain/usage.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { AnswerContext } from '../dialect.ts';
import { asArray, asText, type JsonObject } from '../json.ts';
import type { Choices } from '../openai/choices.ts';
import { GeneratedText } from '../openai-chat/generated.ts';
import { usageFor } from '../openai-chat/usage.ts';
import { EchoedPrompts } from './echo.ts';
import { CompletionRequest } from './request.ts';

/** The choices of a text completion: each has its text, or a piece of it, in `text`. */
export class CompletionChoices implements Choices {
  readonly #quirks: Quirks;
  readonly #text = new GeneratedText();
  readonly #echoed: EchoedPrompts | null;

  constructor({ quirks, request }: AnswerContext) {
    this.#quirks = quirks;
    const echo = request instanceof CompletionRequest ? request.echo : null;
    this.#echoed = echo === null ? null : new EchoedPrompts(echo);
  }

  /**
   * Writer streams pieces of its only choice as `{"value": …}`, without a list, and with nothing that says
   * that it is over: each piece may be the last, or else every stream of it would be taken as cut short.
   */
  open(answer: JsonObject): readonly unknown[] | null {
    const value = asText(answer.value);
    return asArray(answer.choices) ?? (value === null ? null : [{ text: value, finish_reason: 'stop' }]);
  }

  add(index: unknown, choice: JsonObject): boolean {
    const { reasoning, reasoning_content } = choice;
    const text = asText(choice.text) ?? '';
    const content = this.#echoed?.without(index, text) ?? text;
    return this.#text.add(index, { content, reasoning, reasoning_content });
  }

  textBytes(): null {
    return null;
  }

  generated(): Countable {
    return this.#text.countable();
  }

  get unitCount(): number {
    return 0;
  }

  units(): Usage {
    return {};
  }

  usageOf(reported: JsonObject | null): Usage | null {
    return usageFor(reported, this.#quirks, this.#text);
  }
}
