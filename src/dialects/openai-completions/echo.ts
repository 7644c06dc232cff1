import type { TextInput } from '../openai/inputs.ts';

/** That the answer is to repeat its prompts, each before what continues it. */
export interface Echo {
  readonly prompts: readonly TextInput[];
  /** How many choices each prompt has, one after the other. */
  readonly choicesPerPrompt: number;
}

/**
 * Takes echoed prompts off the texts of choices: they were read, and not generated. What a prompt of token
 * ids reads as is unknown here, so its echo stays and is counted, where upstream reports no usage.
 */
export class EchoedPrompts {
  readonly #echo: Echo;
  /** What is still to be repeated, by the choice's index. */
  readonly #left = new Map<unknown, string>();

  constructor(echo: Echo) {
    this.#echo = echo;
  }

  /**
   * @param piece of the choice's text, in order
   * @returns what of it was generated
   */
  without(choice: unknown, piece: string): string {
    const left = this.#left.get(choice) ?? this.#promptOf(choice);
    if (left === '') return piece;
    if (left.startsWith(piece)) {
      this.#left.set(choice, left.slice(piece.length));
      return '';
    }
    // Behind the prompt; or else it isn't repeated as it was sent, and the rest can't be told from the answer.
    this.#left.set(choice, '');
    return piece.startsWith(left) ? piece.slice(left.length) : piece;
  }

  #promptOf(choice: unknown): string {
    const { prompts, choicesPerPrompt } = this.#echo;
    const prompt = typeof choice === 'number' ? prompts[Math.floor(choice / choicesPerPrompt)] : undefined;
    return prompt?.kind === 'text' ? prompt.text : '';
  }
}
