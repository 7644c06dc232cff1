import type { CachedCatalog } from './cached-catalog.ts';

/** How old an answer of the cached catalogue may become where nobody says that it has changed. */
export const maxAgeMs = {
  /** Another process may have changed it, and its message may be lost. */
  shared: 10_000,
  /** No other process can change it, and our own changes invalidate at once. */
  alone: 60_000,
} as const;

/** Makes a change of the catalogue known wherever an older answer may be cached. */
export interface CatalogInvalidation {
  /**
   * What this process asks for from now on is read anew, and so it is in the others as soon as they hear of
   * it. Neither waits nor fails.
   */
  changed(): void;
  /** Stops listening, and waits a short while for what was not yet told. */
  close(): Promise<void>;
}

/** Where no other process can serve the catalogue. */
export function createLocalInvalidation(catalog: Pick<CachedCatalog, 'invalidate'>): CatalogInvalidation {
  return { changed: () => catalog.invalidate(), close: async () => undefined };
}
