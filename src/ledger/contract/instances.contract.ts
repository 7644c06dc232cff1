import { randomUUIDv7 } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { InstanceId, TenantId } from '../../domain/ids.ts';
import type { GatewayInstance, Instances, OrphanSearch } from '../instances.ts';
import type { CheckpointedClosing } from '../ledger.ts';
import { createSqlInstances } from '../sql-instances.ts';
import { commitOf, draftFor, voidOf } from './drafts.contract.ts';
import type { GivenLedger } from './given-ledger.contract.ts';

/** Which processes live, and what those that don't have left open. */
export function contractOfInstances(given: GivenLedger): void {
  const instances = (): Instances => createSqlInstances(given.driver);

  const newInstance = (): GatewayInstance => ({
    id: `instance-${randomUUIDv7()}` as InstanceId,
    host: 'here',
    pid: 7,
    place: 'a place',
  });

  async function beating(times = 1): Promise<GatewayInstance> {
    const instance = newInstance();
    for (let beat = 0; beat < times; beat++) await instances().beat(instance);
    return instance;
  }

  const known = async ({ id }: GatewayInstance) =>
    (await instances().unsettled()).find((instance) => instance.id === id);

  const search = (changes: Partial<OrphanSearch>): Promise<readonly { readonly transactionId: string }[]> =>
    instances().orphans({ owners: [], expired: null, allBut: null, after: null, limit: 100, ...changes });

  async function openOf(tenantId: TenantId, owner: InstanceId, ttlMs = 60_000) {
    const draft = draftFor(tenantId, { owner, ttlMs });
    await given.ledger.createPending(draft);
    return draft;
  }

  function closingOf(draft: Parameters<typeof commitOf>[0], amount: string): CheckpointedClosing {
    const { tenantId: _, traceId: __, transactionId: ___, ...closing } = commitOf(draft, amount);
    return { ...closing, record: { ...closing.record, outcome: 'gateway_died', stream: true } };
  }

  describe('an instance', () => {
    it('beats differently each time, so that others see that it lives', async () => {
      const instance = await beating();
      const first = await known(instance);
      expect(first).toMatchObject({ host: 'here', pid: 7, place: 'a place', hasEnded: false });
      await instances().beat(instance);
      expect((await known(instance))?.beat).not.toBe(first?.beat);
    });

    it('that has ended never lives again', async () => {
      const instance = await beating();
      expect(await instances().end(instance.id, null)).toBe(true);
      expect(await instances().beat(instance)).toBe('ended');
      expect(await instances().end(instance.id, null)).toBe(false);
      expect(await known(instance)).toMatchObject({ hasEnded: true });
    });

    it('that has beaten since it was looked at is not ended', async () => {
      const instance = await beating();
      const seen = (await known(instance))?.beat ?? null;
      await instances().beat(instance);
      expect(await instances().end(instance.id, seen)).toBe(false);
      expect(await instances().beat(instance)).toBe('alive');
      expect(await instances().end(instance.id, (await known(instance))?.beat ?? null)).toBe(true);
    });

    it('needs no more looking after once it has ended and nothing of it is open', async () => {
      const tenantId = await given.newTenant();
      const instance = await beating();
      const draft = await openOf(tenantId, instance.id);
      await instances().markSettled(0);
      expect(await known(instance)).toBeDefined();
      await instances().end(instance.id, null);
      await instances().markSettled(0);
      expect(await known(instance)).toBeDefined();
      await given.ledger.voidPending(voidOf(draft));
      await instances().markSettled(60_000);
      expect(await known(instance)).toBeDefined();
      await instances().markSettled(0);
      expect(await known(instance)).toBeUndefined();
    });
  });

  describe('an orphan', () => {
    it('is what is open of instances that have ended, in pages', async () => {
      const tenantId = await given.newTenant();
      const [dead, living] = [await beating(), await beating()];
      const drafts = [];
      for (let index = 0; index < 5; index++) drafts.push(await openOf(tenantId, dead.id));
      await openOf(tenantId, living.id);
      const closed = await openOf(tenantId, dead.id);
      await given.ledger.commitPending(commitOf(closed, '0.5'));
      const found: string[] = [];
      let after: OrphanSearch['after'] = null;
      for (;;) {
        const page = await instances().orphans({
          ...{ owners: [dead.id], expired: null, allBut: null, after, limit: 2 },
        });
        found.push(...page.map(({ transactionId }) => transactionId));
        after = page.at(-1) ?? null;
        if (after === null) break;
      }
      expect(found).toEqual(drafts.map(({ id }) => id).sort());
    });

    it('tells whose it is, and that nothing of it was delivered', async () => {
      const tenantId = await given.newTenant();
      const dead = await beating();
      const { id, apiKeyId, traceId } = await openOf(tenantId, dead.id);
      expect(await search({ owners: [dead.id] })).toEqual([
        {
          ...{ tenantId, apiKeyId, traceId, transactionId: id, owner: dead.id, checkpoint: 'nothing' },
          openMs: expect.any(Number),
        },
      ]);
    });

    it('is what expired of whoever is not known to live, and of whoever asks', async () => {
      const tenantId = await given.newTenant();
      const [self, living, dead] = [await beating(), await beating(), await beating()];
      await instances().end(dead.id, null);
      const nobody = 'of a version that does not beat' as InstanceId;
      const expired = [
        await openOf(tenantId, self.id, -1_000),
        await openOf(tenantId, dead.id, -1_000),
        await openOf(tenantId, nobody, -1_000),
      ];
      await openOf(tenantId, living.id, -1_000);
      for (const { id } of [self, dead]) await openOf(tenantId, id, 60_000);
      const of = (rows: readonly { readonly transactionId: string }[]) =>
        rows.map(({ transactionId }) => transactionId).filter((id) => expired.some((one) => one.id === id));
      const all = await search({ expired: { forMs: 500, self: self.id } });
      expect(of(all).sort()).toEqual(expired.map(({ id }) => id).sort());
      expect(all.length).toBe(expired.length);
      expect(await search({ expired: { forMs: 60_000, self: self.id } })).toEqual([]);
    });

    it('is everything of everybody else where nobody else can be alive', async () => {
      const tenantId = await given.newTenant();
      const [self, other] = [await beating(), await beating()];
      const own = await openOf(tenantId, self.id);
      const others = await openOf(tenantId, other.id);
      const found = (await search({ allBut: self.id, limit: 10_000 })).map(
        ({ transactionId }) => transactionId,
      );
      expect(found).toContain(others.id);
      expect(found).not.toContain(own.id);
    });
  });

  describe('a checkpoint', () => {
    it('is read back as the commit that it was, the last one of several', async () => {
      const tenantId = await given.newTenant();
      const dead = await beating();
      const draft = await openOf(tenantId, dead.id);
      const { traceId, id: transactionId } = draft;
      for (const amount of ['0.1', '123456789.123456789']) {
        const closing = closingOf(draft, amount);
        expect(await given.ledger.checkpoint({ tenantId, traceId, transactionId, closing })).toEqual({
          kind: 'checkpointed',
        });
      }
      const closing = closingOf(draft, '123456789.123456789');
      expect(await search({ owners: [dead.id] })).toMatchObject([{ checkpoint: closing }]);
      await given.ledger.commitPending({ tenantId, traceId, transactionId, ...closing });
      expect(await given.ledger.findByTrace(tenantId, traceId)).toMatchObject({
        status: 'COMMITTED',
        amount: closing.amount,
        receipt: closing.receipt,
      });
      await given.expectChain(tenantId);
    });

    it('changes nothing of what is closed, and says so', async () => {
      const tenantId = await given.newTenant();
      const draft = draftFor(tenantId);
      const { traceId, id: transactionId } = draft;
      const checkpoint = { tenantId, traceId, transactionId, closing: closingOf(draft, '0.7') };
      expect(await given.ledger.checkpoint(checkpoint)).toEqual({ kind: 'not_open' });
      await given.ledger.createPending(draft);
      await given.ledger.commitPending(commitOf(draft, '0.5'));
      const before = await given.ledger.findByTrace(tenantId, traceId);
      expect(await given.ledger.checkpoint(checkpoint)).toEqual({ kind: 'not_open' });
      expect(await given.ledger.findByTrace(tenantId, traceId)).toEqual(before);
    });

    it('of a newer version is left for it', async () => {
      const tenantId = await given.newTenant();
      const dead = await beating();
      const { id } = await openOf(tenantId, dead.id);
      await given.driver.query(
        `UPDATE billing_transaction SET checkpoint = '{"layout": 99}' WHERE tenant_id = $1 AND id = $2`,
        [tenantId, id],
      );
      expect(await search({ owners: [dead.id] })).toMatchObject([{ checkpoint: 'unknown' }]);
    });
  });
}
