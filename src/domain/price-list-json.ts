import type { Rate } from './money.ts';
import type { PriceList, Rates, RateTier, TieredRates } from './pricing.ts';

/** Rates by class, each an integer as a string in nano per 1,000,000 units: JSON numbers would lose digits. */
type RatesJson = Readonly<Record<string, string>>;

interface TierJson {
  readonly above_input_tokens: number;
  readonly rates: RatesJson;
}

interface TieredRatesJson {
  readonly rates: RatesJson;
  readonly tiers?: readonly TierJson[];
}

/** A price list as it is stored: its base rates by class, with what depends on length and service tier beside them. */
export type PriceListJson = Readonly<
  Record<string, string | readonly TierJson[] | Readonly<Record<string, TieredRatesJson>>>
>;

const tiersMember = 'tiers';
const serviceTiersMember = 'service_tiers';

export function encodeRates(rates: Rates): RatesJson {
  return Object.fromEntries(Object.entries(rates).map(([usageClass, rate]) => [usageClass, String(rate)]));
}

export function decodeRates(rates: RatesJson): Rates {
  return Object.fromEntries(
    Object.entries(rates).map(([usageClass, rate]) => [usageClass, BigInt(rate) as Rate]),
  );
}

const encodeTier = ({ aboveInputTokens, rates }: RateTier): TierJson => ({
  above_input_tokens: aboveInputTokens,
  rates: encodeRates(rates),
});

const decodeTier = ({ above_input_tokens, rates }: TierJson): RateTier => ({
  aboveInputTokens: above_input_tokens,
  rates: decodeRates(rates),
});

function encodeTiered({ rates, tiers = [] }: TieredRates): TieredRatesJson {
  return { rates: encodeRates(rates), ...(tiers.length === 0 ? {} : { tiers: tiers.map(encodeTier) }) };
}

function decodeTiered({ rates, tiers = [] }: TieredRatesJson): TieredRates {
  return { rates: decodeRates(rates), ...(tiers.length === 0 ? {} : { tiers: tiers.map(decodeTier) }) };
}

export function encodePriceList({ rates, tiers = [], serviceTiers = {} }: PriceList): PriceListJson {
  const names = Object.entries(serviceTiers);
  return {
    ...encodeRates(rates),
    ...(tiers.length === 0 ? {} : { [tiersMember]: tiers.map(encodeTier) }),
    ...(names.length === 0
      ? {}
      : {
          [serviceTiersMember]: Object.fromEntries(names.map(([name, list]) => [name, encodeTiered(list)])),
        }),
  };
}

export function decodePriceList(json: PriceListJson): PriceList {
  const { [tiersMember]: tiers, [serviceTiersMember]: serviceTiers, ...rates } = json;
  return {
    rates: decodeRates(rates as RatesJson),
    ...(tiers === undefined ? {} : { tiers: (tiers as readonly TierJson[]).map(decodeTier) }),
    ...(serviceTiers === undefined
      ? {}
      : {
          serviceTiers: Object.fromEntries(
            Object.entries(serviceTiers as Readonly<Record<string, TieredRatesJson>>).map(([name, list]) => [
              name,
              decodeTiered(list),
            ]),
          ),
        }),
  };
}
