const mostRemembered = 10_000;

/** What OpenAI keeps of answers, so that a later request may continue them by their ids: here, their tokens. */
export class Memory {
  readonly #tokens = new Map<string, number>();

  /** @param tokens by which it makes a later prompt longer */
  keep(id: string, tokens: number): void {
    this.#tokens.set(id, tokens);
    for (const oldest of this.#tokens.keys()) {
      if (this.#tokens.size <= mostRemembered) return;
      this.#tokens.delete(oldest);
    }
  }

  tokensOf(id: string): number | undefined {
    return this.#tokens.get(id);
  }
}
