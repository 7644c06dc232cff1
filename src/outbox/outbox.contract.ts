import { randomUUIDv7 } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../domain/ids.ts';
import type { Driver } from '../ledger/drivers/driver.ts';
import type { EventType, NewWebhook, Outbox, Webhooks } from './outbox.ts';
import { newSigningSecret } from './signature.ts';
import { createSqlOutbox } from './sql-outbox.ts';
import { createSqlWebhooks } from './sql-webhooks.ts';

/** What every outbox guarantees, whatever its engine. */
export function describeOutbox(name: string, open: () => Promise<Driver>): void {
  describe(`the outbox on ${name}`, () => {
    let driver: Driver;
    let outbox: Outbox;
    let webhooks: Webhooks;

    beforeAll(async () => {
      driver = await open();
      outbox = createSqlOutbox(driver.db);
      webhooks = createSqlWebhooks(driver.db);
      for (const tenant_id of ['acme', 'globex'])
        await driver.db.insertInto('tenant').values({ tenant_id, name: tenant_id }).execute();
    });
    afterAll(() => driver.close());
    beforeEach(async () => {
      for (const { id } of await webhooks.list()) await webhooks.remove(id);
      await driver.db.deleteFrom('outbox').execute();
    });

    /** As the ledger's statements do. */
    async function happened(tenantId = 'acme', type: EventType = 'balance.low'): Promise<void> {
      await sql`INSERT INTO outbox (tenant_id, type, data) VALUES (${tenantId}, ${type}, '{"left":"1.5"}')`.execute(
        driver.db,
      );
    }
    const add = (changes: Partial<NewWebhook> = {}) =>
      webhooks.add({
        id: randomUUIDv7(),
        tenantId: null,
        url: 'http://127.0.0.1/',
        secret: newSigningSecret(),
        events: null,
        ...changes,
      });
    const claim = (maxPerWebhook = 100, except: readonly string[] = []) =>
      outbox.claim({ except, maxPerWebhook, leaseMs: 60_000 });
    const deliveries = async () => (await outbox.list({ limit: 100 })).flatMap((event) => event.deliveries);
    /** As if so much time had passed. */
    const laterBy = (seconds: number) =>
      sql`UPDATE webhook_delivery SET next_attempt_at = next_attempt_at - make_interval(secs => ${seconds})`.execute(
        driver.db,
      );

    it('gives each event to each webhook that wants it, once', async () => {
      const all = await add();
      const acme = await add({ tenantId: 'acme' as TenantId });
      const quotas = await add({ events: ['quota.low', 'api_key_quota.low'] });
      await happened('acme', 'balance.low');
      await happened('globex', 'quota.low');
      expect(await Promise.all([outbox.dispatch(), outbox.dispatch()])).toSatisfy(
        ([one, other]) => one + other === 2,
      );
      expect(await outbox.dispatch()).toBe(0);
      const due = await claim();
      expect(due.map(({ webhook, event }) => `${webhook.id} ${event.tenantId} ${event.type}`).sort()).toEqual(
        [
          `${all.id} acme balance.low`,
          `${all.id} globex quota.low`,
          `${acme.id} acme balance.low`,
          `${quotas.id} globex quota.low`,
        ].sort(),
      );
      expect(due[0]).toMatchObject({ attempt: 1, event: { data: { left: '1.5' } } });
      expect(await claim()).toEqual([]);
    });

    it('tells a webhook nothing of what was before it', async () => {
      await happened();
      await outbox.dispatch();
      await add();
      await happened();
      await outbox.dispatch();
      expect(await claim()).toHaveLength(1);
    });

    it('gives a delivery to one of many who ask at once', async () => {
      await add();
      for (let count = 0; count < 20; count++) await happened();
      await outbox.dispatch();
      const taken = (await Promise.all(Array.from({ length: 8 }, () => claim(7)))).flat();
      expect(new Set(taken.map(({ position }) => position)).size).toBe(taken.length);
      for (let round = 0; round < 5; round++) taken.push(...(await claim(7)));
      expect(taken).toHaveLength(20);
    });

    it('takes no more of one webhook than asked for, and none of those to leave alone', async () => {
      const [one, other] = [await add(), await add()];
      for (let count = 0; count < 3; count++) await happened();
      await outbox.dispatch();
      const first = await claim(2);
      expect(Map.groupBy(first, ({ webhook }) => webhook.id).get(one.id)).toHaveLength(2);
      expect(first).toHaveLength(4);
      expect((await claim(2, [one.id])).map(({ webhook }) => webhook.id)).toEqual([other.id]);
    });

    it('gives a delivery again where nobody said what came of it, and takes no late word for it', async () => {
      await add();
      await happened();
      await outbox.dispatch();
      const [first] = await claim();
      if (first === undefined) throw new Error('nothing was due');
      expect(await deliveries()).toMatchObject([{ state: 'due', lastError: 'the attempt did not end' }]);
      await laterBy(61);
      const [second] = await claim();
      expect(second).toMatchObject({ attempt: 2, event: { id: first.event.id } });
      await outbox.failed(first, 'late', null);
      expect(await deliveries()).toMatchObject([{ state: 'due', attempts: 2 }]);
      await outbox.delivered(first);
      expect(await deliveries()).toMatchObject([{ state: 'delivered', attempts: 2, nextAttemptAt: null }]);
      if (second !== undefined) await outbox.failed(second, 'later still', 1_000);
      await laterBy(3600);
      expect(await claim()).toEqual([]);
      expect(await deliveries()).toMatchObject([{ state: 'delivered', lastError: null }]);
    });

    it('gives a failed one again after its pause, until it is given up', async () => {
      await add();
      await happened();
      await outbox.dispatch();
      for (let attempt = 1; attempt <= 2; attempt++) {
        const [due] = await claim();
        if (due === undefined) throw new Error('nothing was due');
        expect(due.attempt).toBe(attempt);
        await outbox.failed(due, `failed ${attempt}`, attempt === 2 ? null : 30_000);
        await laterBy(29);
        expect(await claim()).toEqual([]);
        await laterBy(2);
      }
      expect(await claim()).toEqual([]);
      expect(await deliveries()).toMatchObject([
        { state: 'failed', lastError: 'failed 2', nextAttemptAt: null },
      ]);
    });

    it('gives up all of a webhook that is gone, and forgets those of one that is removed', async () => {
      const [gone, removed] = [await add(), await add()];
      await happened();
      await outbox.dispatch();
      await outbox.disable(gone.id, 'gone');
      expect((await webhooks.list()).map(({ disabledAt }) => disabledAt !== null)).toEqual([true, false]);
      expect(await webhooks.remove(removed.id)).toBe(true);
      expect(await webhooks.remove(removed.id)).toBe(false);
      await happened();
      await outbox.dispatch();
      expect(await claim()).toEqual([]);
      expect(await deliveries()).toMatchObject([{ webhookId: gone.id, state: 'failed', lastError: 'gone' }]);
    });

    it('lists events newest first, by tenant and in pages', async () => {
      for (const tenantId of ['acme', 'globex', 'acme']) await happened(tenantId);
      const all = await outbox.list({ limit: 10 });
      expect(all.map(({ tenantId }) => tenantId)).toEqual(['acme', 'globex', 'acme']);
      expect(Number(all[0]?.position)).toBeGreaterThan(Number(all[2]?.position));
      const [, globex, first] = all;
      expect(await outbox.list({ limit: 10, before: globex?.position ?? '' })).toEqual([first]);
      expect(await outbox.list({ limit: 10, tenantId: 'globex' as TenantId })).toEqual([globex]);
      expect(await outbox.list({ limit: 1 })).toEqual([all[0]]);
    });
  });
}
