import { randomUUIDv7 } from 'node:crypto';
import { expect, it } from 'vitest';
import { hashRequest, type TraceId, type TransactionId } from '../../domain/ids.ts';
import { formatAmount, parseAmount } from '../../domain/money.ts';
import { commitOf, day, draftFor, voidOf } from './drafts.contract.ts';
import type { GivenLedger } from './given-ledger.contract.ts';

/** How a PENDING transaction is opened and closed: each once, and by nobody else. */
export function contractOfPendings(given: GivenLedger): void {
  const { newTenant, quotaOf, expectChain } = given;

  it('charges a commit of 100 and 200 tokens 0.0005 and leaves 99.9995, one used in day and month', async () => {
    const tenantId = await newTenant();
    const draft = draftFor(tenantId);
    await given.ledger.createPending(draft);
    const committed = await given.ledger.commitPending(commitOf(draft, '0.0005'));
    expect(committed).toMatchObject({ kind: 'committed', transactionId: draft.id, seq: 2 });
    const quota = await quotaOf(tenantId);
    expect(formatAmount(quota.balance)).toBe('99.9995');
    expect(quota).toMatchObject({
      dailyUsed: 1,
      dailyPeriod: day,
      monthlyUsed: 1,
      monthlyPeriod: '2026-11',
    });
    expect(await given.ledger.findByTrace(tenantId, draft.traceId)).toMatchObject({
      id: draft.id,
      status: 'COMMITTED',
      amount: parseAmount('0.0005'),
      inputTokens: 100,
      outputTokens: 200,
      balanceAfter: parseAmount('99.9995'),
    });
  });

  it('leaves balance and counters alone while a transaction is PENDING, and names its hold', async () => {
    const tenantId = await newTenant();
    const draft = draftFor(tenantId);
    expect(await given.ledger.createPending(draft)).toEqual({ kind: 'created' });
    const snapshot = await given.ledger.snapshot(tenantId);
    expect(snapshot).toMatchObject({
      projection: { balance: parseAmount('100'), dailyUsed: 0, monthlyUsed: 0 },
      openPendings: [
        { traceId: draft.traceId, apiKeyId: draft.apiKeyId, holdAmount: parseAmount('0.01'), periodDay: day },
      ],
    });
  });

  it('refuses a used trace id with another request hash and changes no byte', async () => {
    const tenantId = await newTenant();
    const draft = draftFor(tenantId);
    await given.ledger.createPending(draft);
    const before = await given.ledger.findByTrace(tenantId, draft.traceId);
    const other = { ...draft, id: randomUUIDv7() as TransactionId, requestHash: hashRequest('other') };
    expect(await given.ledger.createPending(other)).toMatchObject({
      kind: 'conflict',
      transaction: { id: draft.id },
    });
    expect(await given.ledger.findByTrace(tenantId, draft.traceId)).toEqual(before);
  });

  it('answers a repeated createPending of the same row as created, and of another row as duplicate', async () => {
    const draft = draftFor(await newTenant());
    await given.ledger.createPending(draft);
    expect(await given.ledger.createPending(draft)).toEqual({ kind: 'created' });
    expect(await given.ledger.createPending({ ...draft, id: randomUUIDv7() as TransactionId })).toMatchObject(
      {
        kind: 'duplicate',
        transaction: { id: draft.id, status: 'PENDING' },
      },
    );
  });

  it('keeps the trace ids of two tenants apart', async () => {
    const [one, two] = [await newTenant(), await newTenant()];
    const traceId = 'shared-trace' as TraceId;
    const drafts = [draftFor(one, { traceId }), draftFor(two, { traceId })];
    expect(await Promise.all(drafts.map((draft) => given.ledger.createPending(draft)))).toEqual([
      { kind: 'created' },
      { kind: 'created' },
    ]);
    await given.ledger.commitPending(commitOf(drafts[0]!, '1'));
    expect(await given.ledger.findByTrace(two, traceId)).toMatchObject({ status: 'PENDING' });
  });

  it('commits a pending once, however often and at once it is asked', async () => {
    const tenantId = await newTenant();
    const draft = draftFor(tenantId);
    await given.ledger.createPending(draft);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => given.ledger.commitPending(commitOf(draft, '0.25'))),
    );
    expect(answers.map(({ kind }) => kind).sort()).toEqual([
      ...Array(19).fill('already_committed'),
      'committed',
    ]);
    expect((await quotaOf(tenantId)).balance).toBe(parseAmount('99.75'));
  });

  it('voids a pending without charge or count, after which it can not be committed', async () => {
    const tenantId = await newTenant();
    const draft = draftFor(tenantId);
    await given.ledger.createPending(draft);
    expect(await given.ledger.voidPending(voidOf(draft))).toEqual({ kind: 'voided' });
    expect(await given.ledger.commitPending(commitOf(draft, '1'))).toMatchObject({ kind: 'already_voided' });
    expect(await quotaOf(tenantId)).toMatchObject({ balance: parseAmount('100'), dailyUsed: 0 });
    expect(await given.ledger.snapshot(tenantId)).toMatchObject({ openPendings: [] });
  });

  it('does not void what is committed', async () => {
    const draft = draftFor(await newTenant());
    await given.ledger.createPending(draft);
    await given.ledger.commitPending(commitOf(draft, '1'));
    expect(await given.ledger.voidPending(voidOf(draft))).toMatchObject({
      kind: 'already_committed',
      transaction: { amount: parseAmount('1') },
    });
  });

  it("does not close another request's pending under the same trace id", async () => {
    const tenantId = await newTenant();
    const draft = draftFor(tenantId);
    await given.ledger.createPending(draft);
    const stranger = { ...draft, id: randomUUIDv7() as TransactionId };
    expect(await given.ledger.voidPending(voidOf(stranger))).toEqual({ kind: 'unknown_transaction' });
    expect(await given.ledger.commitPending(commitOf(stranger, '1'))).toEqual({
      kind: 'unknown_transaction',
    });
    expect(await given.ledger.findByTrace(tenantId, draft.traceId)).toMatchObject({ status: 'PENDING' });
  });

  it('lets a poison item fail alone, not its batch', async () => {
    const tenantId = await newTenant();
    const good = Array.from({ length: 5 }, () => draftFor(tenantId));
    const poison = draftFor(tenantId, { periodDay: 'not a day' });
    const answers = await Promise.allSettled(
      [...good, poison].map((draft) => given.ledger.createPending(draft)),
    );
    expect(answers.map(({ status }) => status)).toEqual([...Array(5).fill('fulfilled'), 'rejected']);
    expect(await given.ledger.findByTrace(tenantId, poison.traceId)).toBeUndefined();
  });

  it('numbers a batch of commits without gaps and chains their balances', async () => {
    const tenants = [await newTenant(), await newTenant('5')];
    const drafts = Array.from({ length: 120 }, (_, index) => draftFor(tenants[index % 2]!));
    await Promise.all(drafts.map((draft) => given.ledger.createPending(draft)));
    await Promise.all(
      drafts.map((draft, index) => given.ledger.commitPending(commitOf(draft, `0.${index + 100}`))),
    );
    for (const tenantId of tenants) await expectChain(tenantId);
  });

  it('writes one usage record per closed request', async () => {
    const tenantId = await newTenant();
    const drafts = [draftFor(tenantId), draftFor(tenantId), draftFor(tenantId)];
    await Promise.all(drafts.map((draft) => given.ledger.createPending(draft)));
    await given.ledger.commitPending(commitOf(drafts[0]!, '1'));
    await given.ledger.voidPending(voidOf(drafts[1]!));
    const rows = await given.driver.db
      .selectFrom('usage_record')
      .select(['transaction_id', 'outcome', 'finish_reason', 'latency_ms', 'time_to_first_byte_ms'])
      .where('tenant_id', '=', tenantId)
      .orderBy('transaction_id')
      .execute();
    const facts = { finish_reason: 'stop', latency_ms: 12.5, time_to_first_byte_ms: 3.25 };
    expect(rows).toHaveLength(2);
    expect(rows).toEqual(
      expect.arrayContaining([
        { transaction_id: drafts[0]!.id, outcome: 'completed', ...facts },
        { transaction_id: drafts[1]!.id, outcome: 'upstream_refused', ...facts },
      ]),
    );
  });
}
