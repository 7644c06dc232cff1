import { ratesJson } from '../admin/rates.ts';
import type { BookPrice, PublishedPrice } from '../catalog/catalog.ts';
import { withUnitsOf } from './price-book.ts';

/** A member of a price that differs; null where one side hasn't got it. */
export interface MemberChange {
  /** For instance "input_per_1m" or "service_tiers.flex.tiers.above 272000.input_per_1m". */
  readonly member: string;
  readonly from: string | null;
  readonly to: string | null;
}

export interface AddedPrice {
  readonly price: PublishedPrice;
  /** In which rates it differs from the built-in price that counts until now; null where there is none. */
  readonly overBuiltIn: readonly MemberChange[] | null;
}

export interface ChangedPrice {
  readonly price: PublishedPrice;
  readonly changes: readonly MemberChange[];
}

/** What an import would do. */
export interface PriceDiff {
  readonly added: readonly AddedPrice[];
  readonly changed: readonly ChangedPrice[];
  readonly unchanged: number;
  /** Imported earlier and not in this file: they stay. */
  readonly kept: number;
}

type FindBuiltIn = (provider: string, model: string) => BookPrice | undefined;

export function diffPrices(
  stored: readonly PublishedPrice[],
  sent: readonly PublishedPrice[],
  findBuiltIn: FindBuiltIn,
): PriceDiff {
  const before = new Map(stored.map((price) => [nameOf(price), price]));
  const added: AddedPrice[] = [];
  const changed: ChangedPrice[] = [];
  for (const price of sent) {
    const old = before.get(nameOf(price));
    before.delete(nameOf(price));
    if (old === undefined) {
      const builtIn = findBuiltIn(price.provider, price.model);
      added.push({
        price,
        overBuiltIn: builtIn === undefined ? null : rateChanges(builtIn, withUnitsOf(builtIn, price)),
      });
      continue;
    }
    const changes = changesBetween(old, price);
    if (changes.length > 0) changed.push({ price, changes });
  }
  const unchanged = sent.length - added.length - changed.length;
  return { added, changed, unchanged, kept: before.size };
}

/** Whether two prices charge alike, whatever else is known of their models. */
export function sameRates(a: BookPrice, b: BookPrice): boolean {
  return rateChanges(a, b).length === 0;
}

function rateChanges(from: BookPrice, to: BookPrice): readonly MemberChange[] {
  const noLimits = { maxInputTokens: null, maxOutputTokens: null };
  return changesBetween({ ...from, ...noLimits }, { ...to, ...noLimits });
}

const nameOf = ({ provider, model }: PublishedPrice): string => `${provider}\n${model}`;

/** In what two prices differ, by member. Where they are from makes no difference. */
function changesBetween(from: BookPrice, to: BookPrice): readonly MemberChange[] {
  const old = membersOf(from);
  const current = membersOf(to);
  const names = [...new Set([...old.keys(), ...current.keys()])].sort();
  return names.flatMap((member) => {
    const change = { member, from: old.get(member) ?? null, to: current.get(member) ?? null };
    return change.from === change.to ? [] : [change];
  });
}

/** Every number of a price by its name, as the admin API writes it. */
function membersOf({ prices, maxInputTokens, maxOutputTokens }: BookPrice): Map<string, string> {
  const { serviceTiers = {}, ...standard } = prices;
  const members = new Map<string, string>();
  for (const [name, list] of [['', standard] as const, ...Object.entries(serviceTiers)]) {
    const prefix = name === '' ? '' : `service_tiers.${name}.`;
    addRates(members, prefix, list.rates);
    for (const { aboveInputTokens, rates } of list.tiers ?? []) {
      addRates(members, `${prefix}tiers.above ${aboveInputTokens}.`, rates);
    }
  }
  if (maxInputTokens !== null) members.set('max_input_tokens', String(maxInputTokens));
  if (maxOutputTokens !== null) members.set('max_output_tokens', String(maxOutputTokens));
  return members;
}

function addRates(members: Map<string, string>, prefix: string, rates: BookPrice['prices']['rates']): void {
  for (const [name, rate] of Object.entries(ratesJson({ rates }) as Readonly<Record<string, string>>)) {
    members.set(`${prefix}${name}`, rate);
  }
}
