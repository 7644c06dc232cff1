import type { BookPrice, Catalog, CatalogStore } from '../catalog/catalog.ts';
import type { Clock } from '../domain/clock.ts';
import { withMissingRates } from '../domain/pricing.ts';
import { whenKnown } from '../domain/soon.ts';
import { type UsageClass, unitClasses } from '../domain/usage.ts';
import { builtInPrice } from './genai-prices.ts';
import { providerName } from './provider-names.ts';

/** The same catalogue, where a provider that has several names has one price under all of them. */
export function withOneNamePerProvider(store: CatalogStore): CatalogStore {
  return {
    ...store,
    findPrice: (provider, model) => store.findPrice(providerName(provider), model),
    putPrices: (prices, audit) => {
      const named = prices.map((price) => ({ ...price, provider: providerName(price.provider) }));
      // Two names of one provider in one call are one price: the later one, as between two calls.
      const unique = new Map(named.map((price) => [`${price.provider}\n${price.model}`, price]));
      return store.putPrices([...unique.values()], audit);
    },
  };
}

/**
 * The same catalogue, where a model without an imported price has the built-in one of this very moment:
 * it stands in front of a cache and not behind it, since some prices change within the day.
 */
export function withBuiltInPrices<C extends Catalog>(catalog: C, clock: Clock): C {
  return {
    ...catalog,
    findPrice: (provider: string, model: string) =>
      whenKnown(catalog.findPrice(provider, model), (imported) => {
        const builtIn = builtInPrice(provider, model, clock.now());
        return imported === undefined ? builtIn : withUnitsOf(builtIn, imported);
      }),
  };
}

const keptClasses: readonly UsageClass[] = [...unitClasses, 'cache_read_audio'];

/**
 * An imported price with the built-in prices of what its source doesn't know of: units, web searches for
 * one, which would be free without a price, and audio read from a cache, which would be charged as text.
 */
export function withUnitsOf<P extends BookPrice>(builtIn: BookPrice | undefined, imported: P): P {
  return { ...imported, prices: withMissingRates(imported.prices, builtIn?.prices, keptClasses) };
}
