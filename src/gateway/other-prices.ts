import type { Catalog, Target } from '../catalog/catalog.ts';
import type { Clock } from '../domain/clock.ts';
import { type PriceList, rateCardAt } from '../domain/pricing.ts';
import { type Soon, whenKnown } from '../domain/soon.ts';
import type { ModelUsage } from '../domain/usage.ts';
import type { Observer } from '../observability/observer.ts';

export interface OtherPricesOptions {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly observer: Observer;
}

export interface PricedModelUsage extends ModelUsage {
  /** Null where nobody knows its price: it is then charged like the model that was asked for. */
  readonly prices: PriceList | null;
  /** What the provider charges us for it, as published; null where nobody knows. */
  readonly costPrices: PriceList | null;
}

/** The prices of models that upstream used on its own decision: as served here, or as published. */
export function pricesOfOthers(
  others: readonly ModelUsage[],
  provider: string,
  options: OtherPricesOptions,
): Soon<readonly PricedModelUsage[]> {
  if (others.length === 0) return [];
  return Promise.all(
    others.map(async (other) => ({ ...other, ...(await pricesOf(other.model, provider, options)) })),
  );
}

async function pricesOf(
  name: string,
  provider: string,
  { catalog, clock, observer }: OtherPricesOptions,
): Promise<Pick<PricedModelUsage, 'prices' | 'costPrices'>> {
  if (name.includes('\0')) return { prices: null, costPrices: null };
  try {
    const served = await catalog.findModel(name);
    const card = served === undefined ? undefined : rateCardAt(served.rateCards, clock.now());
    const published = (await catalog.findPrice(provider, name))?.prices ?? null;
    return { prices: card ?? published, costPrices: published };
  } catch (error) {
    // The bill must not fail for it: the receipt says which price was taken.
    observer.fault('finding the price of another model', error, null);
    return { prices: null, costPrices: null };
  }
}

/** What the provider charges us on this route: as its admin set it, or as published; null where neither. */
export function costPrices(
  { route, upstream }: Target,
  { catalog, observer }: OtherPricesOptions,
): Soon<PriceList | null> {
  if (route.costRates !== null) return route.costRates;
  const unknown = (error: unknown) => {
    observer.fault('finding what the provider charges', error, null);
    return null;
  };
  try {
    const found = catalog.findPrice(upstream.provider, route.upstreamModel);
    const prices = whenKnown(found, (price) => price?.prices ?? null);
    return prices instanceof Promise ? prices.catch(unknown) : prices;
  } catch (error) {
    return unknown(error);
  }
}
