import { formatRate, parseRate, type Rate } from '../domain/money.ts';
import type { Rates } from '../domain/pricing.ts';
import { inputClasses, outputClasses, type UsageClass } from '../domain/usage.ts';
import type { Json } from './admin-call.ts';
import { decimal, members } from './validation.ts';

interface Price {
  readonly usageClass: UsageClass;
  readonly perUnits: 1 | 1_000 | 1_000_000;
}

const tokenClasses: readonly UsageClass[] = [...inputClasses, ...outputClasses];

/** Each member of `rates`: the class that it prices, and per how many units. */
const prices: ReadonlyMap<string, Price> = new Map([
  ...tokenClasses.flatMap((usageClass): [string, Price][] => [
    [`${usageClass}_per_1m`, { usageClass, perUnits: 1_000_000 }],
    [`${usageClass}_per_1k`, { usageClass, perUnits: 1_000 }],
  ]),
  ['per_request', { usageClass: 'requests', perUnits: 1 }],
  ['per_image', { usageClass: 'image', perUnits: 1 }],
]);

const shape = Object.fromEntries(
  [...prices].map(([member, { perUnits }]) => [
    member,
    decimal((text) => parseRate(text, perUnits), '2.50').optional(),
  ]),
);

/**
 * Prices as the admin API takes them. Tokens have a price for input and for output, "0" where they
 * cost nothing, so that nothing is given away by an omission; a model that is priced by request or by
 * image alone has neither, and its tokens cost nothing.
 */
export const rates = members(shape).transform((given, context): Rates => {
  const read: Partial<Record<UsageClass, Rate>> = {};
  const refuse = (member: string, message: string) => {
    context.issues.push({ code: 'custom', input: given, path: [member], message });
  };
  for (const [member, rate] of Object.entries(given)) {
    const price = prices.get(member);
    if (price === undefined || rate === undefined) continue;
    if (read[price.usageClass] !== undefined) {
      refuse(member, `has a price per 1m as well: send one of the two`);
    }
    read[price.usageClass] = rate;
  }
  const pricesTokens = tokenClasses.some((usageClass) => read[usageClass] !== undefined);
  if (!pricesTokens && (read.requests !== undefined || read.image !== undefined)) return read;
  for (const usageClass of ['input', 'output']) {
    if (read[usageClass] === undefined) {
      refuse(`${usageClass}_per_1m`, 'is required: send a decimal string, "0" where it costs nothing');
    }
  }
  return read;
});

/** Prices in JSON: per 1,000,000 tokens, per request, and per image. */
export function ratesJson(given: Rates): Json {
  return Object.fromEntries(
    Object.entries(given).flatMap(([usageClass, rate]) => {
      if (rate === undefined) return [];
      if (usageClass === 'requests') return [['per_request', formatUnitRate(rate)]];
      if (usageClass === 'image') return [['per_image', formatUnitRate(rate)]];
      return [[`${usageClass}_per_1m`, formatRate(rate)]];
    }),
  );
}

/** Nano per 1,000,000 units are fifteen decimals of the currency's unit per one. */
const unitDecimals = 15;

function formatUnitRate(rate: Rate): string {
  const digits = rate.toString().padStart(unitDecimals + 1, '0');
  const fraction = digits.slice(-unitDecimals).replace(/0+$/, '');
  return `${digits.slice(0, -unitDecimals)}${fraction === '' ? '' : `.${fraction}`}`;
}
