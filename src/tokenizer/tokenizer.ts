/** Texts to count exactly, and the tokens that the wire format adds around them. */
export interface Countable {
  readonly texts: readonly string[];
  /** Tokens beside those of the texts, for instance three a message. */
  readonly overhead: number;
  /** Whether there is more than text to it, an image for instance, so that the count is too low. */
  readonly hasMore?: boolean;
}

/** Counts tokens as one of OpenAI's encodings does, off the event loop. */
export interface TextCounter {
  /**
   * @param model the upstream's name of the model; one that isn't known is counted by the newest encoding
   * @returns tokens of the texts plus the overhead
   * @throws Error when the counting thread has died
   */
  count(model: string, countable: Countable): Promise<number>;
  close(): Promise<void>;
}

export type Side = 'input' | 'output';

/** What is to be counted for a bill. */
export interface Counted {
  readonly side: Side;
  readonly countable: Countable;
  /** Whether the answer broke off: the count must then not exceed what the provider would have reported in the end. */
  readonly isCutOff: boolean;
}

/** What a provider counted, and what it counted it for. */
export interface CountedByProvider {
  readonly model: string;
  readonly isStream: boolean;
  readonly sides: readonly CountedSide[];
}

export interface CountedSide {
  readonly side: Side;
  readonly tokens: number;
  /** Asked only where it is looked at, which is seldom. */
  countable(): Countable;
}

/** How many tokens a model counts for one of ours. */
export interface TokenFactor {
  readonly model: string;
  readonly side: Side;
  /** Parts per million. */
  readonly factorPpm: number;
  /** How many answers it was learned from, or for models that need no factor, compared with. */
  readonly samples: number;
  /** How near our count came to the provider's on average, 0 to 100, since this process began; null where none was compared. */
  readonly accuracyPercent: number | null;
}

/** Counts tokens as a model does: by its own encoding where that is public, otherwise by what was learned of it. */
export interface Tokenizer {
  /**
   * @param model the upstream's name of the model
   * @throws Error when the counting thread has died
   */
  count(model: string, counted: Counted): Promise<number>;
  /** Learns from a sample of what it is told, later and at leisure: it returns at once and never throws. */
  learn(counted: CountedByProvider): void;
  /** What was learned, by model. */
  factors(): readonly TokenFactor[];
  close(): Promise<void>;
}
