import { describe, expect, it } from 'vitest';
import { auditTenant, type Books } from './audit.ts';
import type { Row } from './records.ts';

const row = (values: Partial<Row>): Row => ({
  id: 'one',
  tenantId: 'tenant',
  traceId: 'trace-1',
  requestHash: 'hash',
  type: 'TOPUP',
  status: 'COMMITTED',
  amount: 100n,
  inputTokens: null,
  outputTokens: null,
  usageMethod: null,
  seq: 1,
  balanceBefore: 0n,
  balanceAfter: 100n,
  owner: null,
  description: null,
  outcome: null,
  createdAtMs: 0,
  updatedAtMs: 0,
  ...values,
});
const charge = (values: Partial<Row> = {}) =>
  row({
    id: 'two',
    traceId: 'trace-2',
    type: 'CHARGE',
    amount: 30n,
    seq: 2,
    balanceBefore: 100n,
    balanceAfter: 70n,
    outcome: 'completed',
    ...values,
  });
const toppedUp = { key: 'trace-1', tenantId: 'tenant', amount: 100n, tries: 1, transactionId: 'one' };
const books = (values: Partial<Books> = {}): Books => ({
  tenant: { id: 'tenant', name: 'tenant', apiKeys: [], topUp: '1', isStrict: true },
  rows: [row({}), charge()],
  balance: 70n,
  toppedUp: [toppedUp],
  ...values,
});

it('finds nothing in sound books', () => {
  expect(auditTenant(books())).toEqual([]);
});

it('finds nothing in an opening balance, or in a top-up that was asked for and not acknowledged', () => {
  expect(auditTenant(books({ rows: [row({ traceId: 'opening-balance' }), charge()], toppedUp: [] }))).toEqual(
    [],
  );
  expect(auditTenant(books({ toppedUp: [{ ...toppedUp, transactionId: null }] }))).toEqual([]);
});

describe('finds', () => {
  it.each<[string, string, Books]>([
    ['unexplained', 'a balance that is not the sum', books({ balance: 71n })],
    ['unexplained', 'a gap', books({ rows: [row({}), charge({ seq: 3 })] })],
    ['unexplained', 'a broken chain', books({ rows: [row({}), charge({ balanceBefore: 90n })] })],
    [
      'unexplained',
      'a balance below zero where that may not be',
      books({ rows: [row({}), charge({ amount: 130n, balanceAfter: -30n })], balance: -30n }),
    ],
    ['unexplained', 'a charge without a record', books({ rows: [row({}), charge({ outcome: null })] })],
    ['double', 'a trace id with two rows', books({ rows: [row({}), charge({ traceId: 'trace-1' })] })],
    ['lost', 'an acknowledged top-up that is not there', books({ rows: [], balance: 0n })],
    [
      'double',
      'a top-up that is there twice',
      books({
        rows: [row({}), row({ id: 'three', seq: 2, balanceBefore: 100n, balanceAfter: 200n })],
        balance: 200n,
      }),
    ],
    ['unexplained', 'a top-up that nobody asked for', books({ toppedUp: [] })],
    [
      'unexplained',
      'a top-up of another amount, though it was never acknowledged',
      books({ toppedUp: [{ ...toppedUp, amount: 99n, transactionId: null }] }),
    ],
    [
      'unexplained',
      'an adjustment in the name of a top-up',
      books({ rows: [row({ type: 'ADJUSTMENT' }), charge()] }),
    ],
    [
      'double',
      'an opening balance that is there twice',
      books({
        rows: [
          row({ traceId: 'opening-balance' }),
          row({ id: 'three', traceId: 'opening-balance', seq: 2, balanceBefore: 100n, balanceAfter: 200n }),
        ],
        balance: 200n,
        toppedUp: [],
      }),
    ],
  ])('%s: %s', (kind, _, one) => {
    expect(auditTenant(one).map((finding) => finding.kind)).toContain(kind);
  });
});
