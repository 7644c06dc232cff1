import { z } from 'zod';
import { formatRate, formatScaled, parseRate, type Rate } from '../domain/money.ts';
import {
  type PriceList,
  type Rates,
  type RateTier,
  serviceTierName,
  type TieredRates,
} from '../domain/pricing.ts';
import { inputClasses, outputClasses, toolUnits, type UsageClass } from '../domain/usage.ts';
import type { Json } from './admin-call.ts';
import { decimal, integer, matching, members, must } from './validation.ts';

/** Nano per 1,000,000 units are fifteen decimals of the currency's unit per one. */
const unitDecimals = 15;

interface Price {
  readonly usageClass: UsageClass;
  readonly perUnits: 1 | 1_000 | 1_000_000;
}

const tokenClasses: readonly UsageClass[] = [...inputClasses, ...outputClasses];
const unitMembers: readonly [string, UsageClass][] = [
  ['per_request', 'requests'],
  ['per_image', 'image'],
  ...toolUnits.map((unit): [string, UsageClass] => [`per_${unit}`, unit]),
];
const memberOfUnit = new Map(unitMembers.map(([member, usageClass]) => [usageClass, member]));

/** Each member of `rates`: the class that it prices, and per how many units. */
const prices: ReadonlyMap<string, Price> = new Map([
  ...tokenClasses.flatMap((usageClass): [string, Price][] => [
    [`${usageClass}_per_1m`, { usageClass, perUnits: 1_000_000 }],
    [`${usageClass}_per_1k`, { usageClass, perUnits: 1_000 }],
  ]),
  ...unitMembers.map(([member, usageClass]): [string, Price] => [member, { usageClass, perUnits: 1 }]),
]);

const rateMembers = Object.fromEntries(
  [...prices].map(([member, { perUnits }]) => [
    member,
    decimal((text) => parseRate(text, perUnits), '2.50').optional(),
  ]),
);

type SentRates = Readonly<Record<string, Rate | undefined>>;
type Refuse = (path: readonly PropertyKey[], message: string) => void;

function readRates(sent: SentRates, refuse: Refuse): Rates {
  const read: Partial<Record<UsageClass, Rate>> = {};
  for (const [member, { usageClass }] of prices) {
    const rate = sent[member];
    if (rate === undefined) continue;
    if (read[usageClass] !== undefined) refuse([member], 'has a price per 1m as well: send one of the two');
    read[usageClass] = rate;
  }
  return read;
}

/** Tokens have a price for input and for output, so that nothing is given away by an omission. */
function demandTokenPrices(read: Rates, refuse: Refuse): void {
  const pricesTokens = tokenClasses.some((usageClass) => read[usageClass] !== undefined);
  const pricesUnits = unitMembers.some(([, usageClass]) => read[usageClass] !== undefined);
  if (!pricesTokens && pricesUnits) return;
  for (const usageClass of ['input', 'output']) {
    if (read[usageClass] === undefined) {
      refuse([`${usageClass}_per_1m`], 'is required: send a decimal string, "0" where it costs nothing');
    }
  }
}

const tierShape = must('a list of at most 16 tiers, each {"above_input_tokens": …, …rates}');
const tiers = z
  .array(members({ above_input_tokens: integer(1, 100_000_000), ...rateMembers }), tierShape)
  .max(16, tierShape)
  .optional();

function readTiers(sent: z.output<typeof tiers>, refuse: Refuse): readonly RateTier[] {
  const read = (sent ?? []).map(({ above_input_tokens, ...tier }, index): RateTier => {
    const rates = readRates(tier as SentRates, (path, message) => refuse(['tiers', index, ...path], message));
    if (Object.keys(rates).length === 0)
      refuse(['tiers', index], 'has no rate: send what differs above its bound');
    return { aboveInputTokens: above_input_tokens as number, rates };
  });
  read.forEach((tier, index) => {
    const before = read[index - 1];
    if (before !== undefined && before.aboveInputTokens >= tier.aboveInputTokens) {
      refuse(['tiers', index, 'above_input_tokens'], 'must be larger than that of the tier before it');
    }
  });
  return read;
}

const serviceTier = members({ ...rateMembers, tiers });
const tierNameShape = matching(
  /^[a-z][a-z0-9_]{0,31}$/,
  'the name of a service tier in small letters, for instance "flex"',
);

function readTiered(
  { tiers: sentTiers, ...sent }: z.output<typeof serviceTier>,
  refuse: Refuse,
): TieredRates {
  const read = readTiers(sentTiers as z.output<typeof tiers>, refuse);
  return { rates: readRates(sent as SentRates, refuse), ...(read.length === 0 ? {} : { tiers: read }) };
}

/**
 * Prices as the admin API takes them. `tiers` override rates for the whole of a request whose prompt is
 * longer than `above_input_tokens`; `service_tiers` (batch, flex, priority) override both for requests
 * that were served so. A model that is priced by units alone (per request, per image) has no token prices.
 */
export const rates = members({
  ...rateMembers,
  tiers,
  service_tiers: z.record(tierNameShape, serviceTier).optional(),
}).transform((given, context): PriceList => {
  const refuse: Refuse = (path, message) => {
    context.issues.push({ code: 'custom', input: given, path: [...path], message });
  };
  const { service_tiers: sentTiers, ...standard } = given;
  const base = readTiered(standard as z.output<typeof serviceTier>, refuse);
  demandTokenPrices(base.rates, refuse);
  const named = Object.entries((sentTiers ?? {}) as Record<string, z.output<typeof serviceTier>>);
  if (named.length === 0) return base;
  for (const [name] of named) {
    if (serviceTierName(name) === null) {
      refuse(
        ['service_tiers', name],
        'is the standard tier: its prices are those outside of `service_tiers`',
      );
    }
  }
  const serviceTiers = named.map(([name, sent]): [string, TieredRates] => [
    name,
    readTiered(sent, (path, message) => refuse(['service_tiers', name, ...path], message)),
  ]);
  return { ...base, serviceTiers: Object.fromEntries(serviceTiers) };
});

function flatJson(given: Rates): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(given).flatMap(([usageClass, rate]) => {
      if (rate === undefined) return [];
      const member = memberOfUnit.get(usageClass);
      if (member !== undefined) return [[member, formatScaled(rate, unitDecimals)]];
      return [[`${usageClass}_per_1m`, formatRate(rate)]];
    }),
  );
}

function tieredJson({ rates: base, tiers: byLength = [] }: TieredRates): Record<string, Json> {
  return {
    ...flatJson(base),
    ...(byLength.length === 0
      ? {}
      : {
          tiers: byLength.map(({ aboveInputTokens, rates: inTier }) => ({
            above_input_tokens: aboveInputTokens,
            ...flatJson(inTier),
          })),
        }),
  };
}

/** Prices in JSON: per 1,000,000 tokens, per request, and per unit. */
export function ratesJson({ serviceTiers = {}, ...standard }: PriceList): Json {
  const named = Object.entries(serviceTiers);
  return {
    ...tieredJson(standard),
    ...(named.length === 0
      ? {}
      : { service_tiers: Object.fromEntries(named.map(([name, list]) => [name, tieredJson(list)])) }),
  };
}
