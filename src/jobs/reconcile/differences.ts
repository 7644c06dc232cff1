import type { ApiKeyQuota } from '../../domain/api-key-quota.ts';
import type { TransactionId } from '../../domain/ids.ts';
import { formatAmount, type NanoUsd, nano } from '../../domain/money.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
import type { HoldSums, HoldsOfTenant, StandingHold } from '../../hot-state/hot-state.ts';
import type { OpenPending, TenantSnapshot } from '../../ledger/ledger.ts';

/** Where hot state has another row of the tenant than the ledger. */
export interface OtherProjection {
  /** `older`: a projection was lost. `newer`: the ledger was restored. `wrong`: of one version, they differ. */
  readonly kind: 'older' | 'newer' | 'wrong';
  readonly found: QuotaProjection;
  readonly expected: QuotaProjection;
}

/** A hold of a request that is over: nobody gives it back. */
export interface GhostHold {
  readonly kind: 'ghost_hold';
  readonly hold: StandingHold;
}

/** An open row whose money isn't held. */
export interface MissingHold {
  readonly kind: 'missing_hold';
  readonly pending: OpenPending;
}

/** A hold of less than its row says; more is one that has grown. */
export interface SmallHold {
  readonly kind: 'small_hold';
  readonly hold: StandingHold;
  readonly pending: OpenPending;
}

/** What decides isn't the sum of the holds. */
export interface WrongSums {
  readonly kind: 'wrong_sums';
  readonly found: HoldSums;
  readonly expected: HoldSums;
}

/** What no version of this code can have written. */
export interface Unreadable {
  readonly kind: 'unreadable';
}

export type Difference = OtherProjection | GhostHold | MissingHold | SmallHold | WrongSums | Unreadable;

/**
 * What hot state has otherwise than the ledger. The holds have to be read before the snapshot: a hold whose row isn't
 * open by then belongs to a request that is over. What is in flight between the two differs for a moment too, so
 * one look alone proves nothing.
 */
export function differencesOf(hot: HoldsOfTenant, snapshot: TenantSnapshot): readonly Difference[] {
  const projection = otherProjection(hot.projection, snapshot.projection);
  const sums = wrongSums(hot);
  return [
    ...(projection === null ? [] : [projection]),
    ...differingHolds(hot.holds, snapshot.openPendings),
    ...(sums === null ? [] : [sums]),
  ];
}

/** Which difference it is, by holder or version: what two looks both have was not in flight. */
export function identityOf(difference: Difference): string {
  switch (difference.kind) {
    case 'older':
    case 'newer':
    case 'wrong':
      return `${difference.kind} ${difference.found.version}`;
    case 'ghost_hold':
    case 'small_hold':
      return `${difference.kind} ${difference.hold.holder}`;
    case 'missing_hold':
      return `${difference.kind} ${difference.pending.transactionId}`;
    case 'wrong_sums':
    case 'unreadable':
      return difference.kind;
  }
}

/** How much more the tenant could hold than the ledger has for it; below zero where it is less. */
function effectOf(difference: Difference): bigint {
  switch (difference.kind) {
    case 'older':
    case 'newer':
    case 'wrong':
      return spendable(difference.found) - spendable(difference.expected);
    case 'ghost_hold':
      return -difference.hold.amount;
    case 'small_hold':
      return difference.pending.holdAmount - difference.hold.amount;
    case 'missing_hold':
      return difference.pending.holdAmount;
    case 'wrong_sums':
      return difference.expected.held - difference.found.held;
    case 'unreadable':
      return 0n;
  }
}

/**
 * By how much what hot state has available for the tenant differs from the ledger's: balance and credit limit without the
 * holds that belong there, at the amounts that they have grown to. What is in flight is in both.
 */
export function amountOf(differences: readonly Difference[]): NanoUsd {
  const effect = differences.reduce((sum, difference) => sum + effectOf(difference), 0n);
  return nano(effect < 0n ? -effect : effect);
}

/** For people: what there is, and what there should be. */
export function describeDifference(difference: Difference): string {
  switch (difference.kind) {
    case 'older':
    case 'newer':
      return `hot state has version ${difference.found.version} of its row, the ledger ${difference.expected.version}`;
    case 'wrong':
      return `hot state has version ${difference.found.version} of its row with ${otherMembers(difference)}`;
    case 'ghost_hold':
      return `transaction ${difference.hold.holder}: ${formatAmount(difference.hold.amount)} is held, and it is not open`;
    case 'missing_hold':
      return `transaction ${difference.pending.transactionId}: nothing is held, should be ${formatAmount(difference.pending.holdAmount)}`;
    case 'small_hold':
      return `transaction ${difference.hold.holder}: ${formatAmount(difference.hold.amount)} is held, should be ${formatAmount(difference.pending.holdAmount)} or more`;
    case 'wrong_sums':
      return `the holds are counted as ${sumsText(difference.found)}, should be ${sumsText(difference.expected)}`;
    case 'unreadable':
      return 'hot state can not be read';
  }
}

const spendable = ({ balance, creditLimit }: QuotaProjection) => balance + creditLimit;

function otherProjection(found: QuotaProjection, expected: QuotaProjection): OtherProjection | null {
  if (found.version < expected.version) return { kind: 'older', found, expected };
  if (found.version > expected.version) return { kind: 'newer', found, expected };
  return membersThatDiffer(found, expected).length === 0 ? null : { kind: 'wrong', found, expected };
}

function membersThatDiffer(found: QuotaProjection, expected: QuotaProjection): (keyof QuotaProjection)[] {
  return (Object.keys(expected) as (keyof QuotaProjection)[]).filter((name) =>
    name === 'apiKeyQuotas'
      ? quotasText(found.apiKeyQuotas) !== quotasText(expected.apiKeyQuotas)
      : found[name] !== expected[name],
  );
}

function otherMembers({ found, expected }: OtherProjection): string {
  return membersThatDiffer(found, expected)
    .map((name) => `${name} ${memberText(found, name)}, should be ${memberText(expected, name)}`)
    .join('; ');
}

function memberText(projection: QuotaProjection, name: keyof QuotaProjection): string {
  if (name === 'apiKeyQuotas') return quotasText(projection.apiKeyQuotas);
  if (name === 'balance' || name === 'creditLimit') return formatAmount(projection[name]);
  return String(projection[name]);
}

/** Those that are set, in one order. */
function quotasText(quotas: readonly ApiKeyQuota[]): string {
  return quotas
    .filter(({ total }) => total !== null)
    .map((one) => [one.apiKeyId, one.quotaType, one.resetPeriod, one.total, one.used, one.period].join(' '))
    .sort()
    .join(', ');
}

function differingHolds(
  holds: readonly StandingHold[],
  openPendings: readonly OpenPending[],
): readonly Difference[] {
  const pendings = new Map(openPendings.map((pending) => [pending.transactionId, pending]));
  const held = new Set<TransactionId>(holds.map(({ holder }) => holder));
  const missing = openPendings
    .filter(({ transactionId }) => !held.has(transactionId))
    .map((pending): MissingHold => ({ kind: 'missing_hold', pending }));
  return [...holds.flatMap((hold) => differingHold(hold, pendings.get(hold.holder))), ...missing];
}

/** One that was only checked has no row yet, and is dropped by itself where it never gets one. */
function differingHold(
  hold: StandingHold,
  pending: OpenPending | undefined,
): readonly (GhostHold | SmallHold)[] {
  if (hold.state === 'checked') return [];
  if (pending === undefined) return [{ kind: 'ghost_hold', hold }];
  return hold.amount < pending.holdAmount ? [{ kind: 'small_hold', hold, pending }] : [];
}

function wrongSums({ holds, sums }: HoldsOfTenant): WrongSums | null {
  const expected = sumsOf(holds);
  return sumsText(sums) === sumsText(expected) ? null : { kind: 'wrong_sums', found: sums, expected };
}

/** What has to be counted of these holds. */
export function sumsOf(holds: readonly StandingHold[]): HoldSums {
  const byDay = Map.groupBy(holds, ({ periodDay }) => periodDay);
  const byKey = Map.groupBy(holds, ({ apiKeyId, periodDay }) => `${apiKeyId} ${periodDay}`);
  const total = (of: readonly StandingHold[]) => nano(of.reduce((sum, { amount }) => sum + amount, 0n));
  return {
    held: total(holds),
    openByDay: [...byDay].map(([periodDay, ofDay]) => ({ periodDay, requests: BigInt(ofDay.length) })),
    ofApiKeys: [...byKey.values()].flatMap((ofKey) => {
      const [first] = ofKey;
      if (first === undefined) return [];
      const { apiKeyId, periodDay } = first;
      const tokens = ofKey.reduce((sum, hold) => sum + BigInt(hold.tokens), 0n);
      return [{ apiKeyId, periodDay, requests: BigInt(ofKey.length), tokens, amount: total(ofKey) }];
    }),
  };
}

function sumsText({ held, openByDay, ofApiKeys }: HoldSums): string {
  const days = openByDay.map(({ periodDay, requests }) => `${requests} of ${periodDay}`).sort();
  const keys = ofApiKeys
    .map(
      ({ apiKeyId, periodDay, requests, tokens, amount }) =>
        `${requests} of ${apiKeyId} of ${periodDay} with ${tokens} tokens and ${formatAmount(amount)}`,
    )
    .sort();
  return [formatAmount(held), ...days, ...keys].join(', ');
}
