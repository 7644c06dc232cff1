import type { CorpusRecord } from './corpus.ts';

/** How the records of one API are replayed through a gateway, and what has to come of it. */
export interface CorpusApi {
  /** The corpus's name of it, which is that of its file. */
  readonly api: string;
  readonly dialect: string;
  /** Path and query on the data plane; `model` is the public name under which the record's provider is served. */
  pathOf(record: CorpusRecord, model: string): string;
  /** The recorded request, made sendable: where it wasn't recorded, one that any provider would take. */
  bodyOf(record: CorpusRecord, model: string): Readonly<Record<string, unknown>>;
  /** What the client has to get of the recorded body: all of it, but for what it didn't ask for. */
  deliveredOf(record: CorpusRecord): string;
  /**
   * What the provider's own total comes to, read from the record alone and not by the code under test: all
   * input, and all output. Null where the record has no usage that could be true.
   */
  expectedTokens(record: CorpusRecord): { readonly input: number; readonly output: number } | null;
  /** Records whose sums are not the provider's own total, by id, with the reason for each. */
  readonly exceptions: ReadonlyMap<string, string>;
  /** Whether nothing is charged though the provider answered 200: nothing was generated, or the call is free. */
  isVoided(record: CorpusRecord): boolean;
  /** Whether the API costs nothing: no ledger row is written at all. */
  readonly isFree: boolean;
}
