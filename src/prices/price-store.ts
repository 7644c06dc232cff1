import { pricesAudit } from '../admin/prices.ts';
import type { CatalogStore, PublishedPrice } from '../catalog/catalog.ts';

/** Where imported prices are kept, on this side of a running gateway or behind it. */
export interface PriceStore {
  list(): Promise<readonly PublishedPrice[]>;
  /** Adds or replaces them, with an audit entry; durable when it resolves. */
  put(prices: readonly PublishedPrice[], source: string): Promise<void>;
  close(): Promise<void>;
}

const actor = 'tollgate prices import';

/** The catalogue itself: all prices go into it in one transaction. */
export function createCatalogPriceStore(
  catalog: Pick<CatalogStore, 'listPrices' | 'putPrices'>,
  close: () => Promise<void>,
): PriceStore {
  return {
    list: () => catalog.listPrices(),
    put: (prices, source) => catalog.putPrices(prices, pricesAudit(actor, source, prices)),
    close,
  };
}

/** For a dry run where no ledger has been made yet. */
export const emptyPriceStore: PriceStore = {
  list: async () => [],
  put: async () => {
    throw new Error('a dry run writes nothing');
  },
  close: async () => undefined,
};
