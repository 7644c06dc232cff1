/** Texts to count exactly, and the tokens that the wire format adds around them. */
export interface Countable {
  readonly texts: readonly string[];
  /** Tokens beside those of the texts, for instance three a message. */
  readonly overhead: number;
}

/** Counts tokens as the model's own encoding does, off the event loop. */
export interface Tokenizer {
  /**
   * @param model the upstream's name of the model; one that isn't known is counted by the newest encoding
   * @returns tokens of the texts plus the overhead
   * @throws Error when the counting thread has died
   */
  count(model: string, countable: Countable): Promise<number>;
  close(): Promise<void>;
}
