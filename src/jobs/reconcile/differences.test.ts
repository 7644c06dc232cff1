import { describe, expect, it, test } from 'vitest';
import { quotaProjection } from '../../../test/support/hot-state.ts';
import type { ApiKeyQuota } from '../../domain/api-key-quota.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../../domain/ids.ts';
import { nano } from '../../domain/money.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
import type { HoldSums, HoldsOfTenant, StandingHold } from '../../hot-state/hot-state.ts';
import type { OpenPending, TenantSnapshot } from '../../ledger/ledger.ts';
import { amountOf, describeDifference, differencesOf, identityOf, sumsOf } from './differences.ts';

const apiKeyId = 'key-1' as ApiKeyId;
const periodDay = '2026-11-23';

const hold = (name: string, amount: bigint, changes: Partial<StandingHold> = {}): StandingHold => ({
  tenantId: 'tenant-1' as TenantId,
  traceId: `trace ${name}` as TraceId,
  holder: name as TransactionId,
  apiKeyId,
  amount: nano(amount),
  tokens: 10,
  periodDay,
  state: 'confirmed',
  ...changes,
});

const pending = (name: string, amount: bigint): OpenPending => ({
  transactionId: name as TransactionId,
  apiKeyId,
  traceId: `trace ${name}` as TraceId,
  holdAmount: nano(amount),
  holdTokens: 10,
  periodDay,
});

const quota = (changes: Partial<ApiKeyQuota> = {}): ApiKeyQuota => ({
  apiKeyId,
  quotaType: 'tokens',
  resetPeriod: 'daily',
  total: 100n,
  used: 5n,
  period: periodDay,
  ...changes,
});

interface Given {
  readonly hot?: Partial<QuotaProjection>;
  readonly ledger?: Partial<QuotaProjection>;
  readonly holds?: readonly StandingHold[];
  readonly pendings?: readonly OpenPending[];
  readonly sums?: Partial<HoldSums>;
}

function compared({ hot = {}, ledger = {}, holds = [], pendings = [], sums = {} }: Given) {
  const found: HoldsOfTenant = {
    projection: quotaProjection(hot),
    holds,
    sums: { ...sumsOf(holds), ...sums },
  };
  const snapshot: TenantSnapshot = {
    kind: 'snapshot',
    projection: quotaProjection(ledger),
    openPendings: pendings,
  };
  return differencesOf(found, snapshot);
}

describe('what hot state has otherwise than the ledger', () => {
  test.each<[what: string, given: Given]>([
    ['nothing open', {}],
    ['a hold with its open row', { holds: [hold('a', 5n)], pendings: [pending('a', 5n)] }],
    [
      'one that a snapshot brought back',
      { holds: [hold('a', 5n, { state: 'loaded' })], pendings: [pending('a', 5n)] },
    ],
    ['one that has grown with its stream', { holds: [hold('a', 50n)], pendings: [pending('a', 5n)] }],
    ['one whose row is on its way', { holds: [hold('a', 5n, { state: 'checked' })] }],
    [
      'one that is smaller until its row is confirmed',
      { holds: [hold('a', 1n, { state: 'checked' })], pendings: [pending('a', 5n)] },
    ],
    [
      'quotas in another order, and one that was taken away',
      {
        hot: { apiKeyQuotas: [quota(), quota({ quotaType: 'requests' })] },
        ledger: {
          apiKeyQuotas: [
            quota({ quotaType: 'requests' }),
            quota(),
            quota({ quotaType: 'amount', total: null }),
          ],
        },
      },
    ],
    [
      'days and API keys counted in another order',
      {
        holds: [hold('a', 1n), hold('b', 2n, { periodDay: '2026-11-24', apiKeyId: 'key-2' as ApiKeyId })],
        pendings: [pending('b', 2n), pending('a', 1n)],
        sums: {
          openByDay: [
            { periodDay: '2026-11-24', requests: 1n },
            { periodDay, requests: 1n },
          ],
        },
      },
    ],
  ])('is nothing for %s', (_, given) => {
    expect(compared(given)).toEqual([]);
  });

  test.each<[what: string, given: Given, identity: string, amount: bigint, words: RegExp]>([
    [
      'a projection that was lost',
      { ledger: { version: 3, balance: nano(130n) } },
      'older 1',
      30n,
      /has version 1 .* the ledger 3/,
    ],
    [
      'a ledger that was restored',
      { hot: { version: 9, balance: nano(70n) } },
      'newer 9',
      30n,
      /has version 9 .* the ledger 1/,
    ],
    [
      'another balance of the same version',
      { hot: { balance: nano(101n) } },
      'wrong 1',
      1n,
      /balance 0.000000101, should be 0.0000001$/,
    ],
    [
      'another counter of the same version',
      { hot: { dailyUsed: 7 } },
      'wrong 1',
      0n,
      /dailyUsed 7, should be 0$/,
    ],
    [
      'another limit of the same version',
      { ledger: { rpmLimit: 5 } },
      'wrong 1',
      0n,
      /rpmLimit null, should be 5$/,
    ],
    [
      'a quota that counts otherwise',
      {
        hot: { apiKeyQuotas: [quota({ used: 4n })] },
        ledger: { apiKeyQuotas: [quota()] },
      },
      'wrong 1',
      0n,
      /daily 100 4 2026-11-23, should be key-1 tokens daily 100 5/,
    ],
    [
      'a quota that is not there',
      { ledger: { apiKeyQuotas: [quota()] } },
      'wrong 1',
      0n,
      /apiKeyQuotas , should be key-1/,
    ],
    [
      'a confirmed hold of a closed row',
      { holds: [hold('a', 5n)] },
      'ghost_hold a',
      5n,
      /transaction a: 0.000000005 is held, and it is not open/,
    ],
    [
      'a loaded hold of a closed row',
      { holds: [hold('a', 5n, { state: 'loaded' })] },
      'ghost_hold a',
      5n,
      /not open/,
    ],
    [
      'an open row without a hold',
      { pendings: [pending('a', 5n)] },
      'missing_hold a',
      5n,
      /transaction a: nothing is held, should be 0.000000005/,
    ],
    [
      'a hold of less than its row',
      { holds: [hold('a', 3n)], pendings: [pending('a', 5n)] },
      'small_hold a',
      2n,
      /0.000000003 is held, should be 0.000000005 or more/,
    ],
    [
      'a sum that is not that of the holds',
      {
        holds: [hold('a', 5n)],
        pendings: [pending('a', 5n)],
        sums: { held: nano(7n) },
      },
      'wrong_sums',
      2n,
      /counted as 0.000000007, .* should be 0.000000005,/,
    ],
    [
      'open requests counted in another day',
      {
        holds: [hold('a', 5n)],
        pendings: [pending('a', 5n)],
        sums: { openByDay: [{ periodDay: '2026-11-22', requests: 1n }] },
      },
      'wrong_sums',
      0n,
      /1 of 2026-11-22/,
    ],
    [
      'an API key with more kept free than it has open',
      {
        holds: [hold('a', 5n)],
        pendings: [pending('a', 5n)],
        sums: { ofApiKeys: [{ apiKeyId, periodDay, requests: 1n, tokens: 11n, amount: nano(5n) }] },
      },
      'wrong_sums',
      0n,
      /with 11 tokens .* with 10 tokens/,
    ],
  ])('is told of %s', (_, given, identity, amount, words) => {
    const found = compared(given);
    expect(found.map(identityOf)).toEqual([identity]);
    expect(amountOf(found)).toBe(amount);
    expect(describeDifference(found[0]!)).toMatch(words);
  });

  it('is a hold under the trace id of another row twice: one too many, and one missing', () => {
    const found = compared({
      holds: [hold('old', 5n, { traceId: 'shared' as TraceId })],
      pendings: [{ ...pending('new', 8n), traceId: 'shared' as TraceId }],
    });
    expect(found.map(identityOf)).toEqual(['ghost_hold old', 'missing_hold new']);
    expect(amountOf(found)).toBe(3n);
  });
});
