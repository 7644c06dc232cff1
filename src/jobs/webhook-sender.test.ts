import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newDataDir, type TestDataDir } from '../../test/support/template.ts';
import { type Answering, startReceiver, type WebhookReceiver } from '../../test/support/webhook-receiver.ts';
import { systemClock } from '../domain/clock.ts';
import type { Driver } from '../ledger/drivers/driver.ts';
import { openPglite } from '../ledger/drivers/pglite.ts';
import type { DeliveryReport, Outbox, Webhooks } from '../outbox/outbox.ts';
import { newSigningSecret } from '../outbox/signature.ts';
import { createSqlOutbox } from '../outbox/sql-outbox.ts';
import { createSqlWebhooks } from '../outbox/sql-webhooks.ts';
import { createUndiciClient } from '../upstream/undici-client.ts';
import { startWebhookSender, type WebhookSenderOptions } from './webhook-sender.ts';

let dataDir: TestDataDir;
let driver: Driver;
let outbox: Outbox;
let webhooks: Webhooks;
let undo: AsyncDisposableStack;
const faults: unknown[] = [];

beforeAll(async () => {
  dataDir = await newDataDir();
  driver = await openPglite(dataDir.path);
  outbox = createSqlOutbox(driver.db);
  webhooks = createSqlWebhooks(driver.db);
});
afterAll(async () => {
  await driver.close();
  await dataDir.remove();
});
beforeEach(() => {
  undo = new AsyncDisposableStack();
  faults.length = 0;
});
afterEach(async () => {
  await undo.disposeAsync();
  for (const { id } of await webhooks.list()) await webhooks.remove(id);
  await driver.db.deleteFrom('outbox').execute();
});

async function happened(count = 1): Promise<void> {
  await sql`
    INSERT INTO outbox (tenant_id, type, data)
    SELECT 'acme', 'balance.low', jsonb_build_object('number', number) FROM generate_series(1, ${count}) AS number`.execute(
    driver.db,
  );
}

async function receiver(answer?: Answering): Promise<WebhookReceiver & { readonly secret: string }> {
  const started = await startReceiver(answer);
  undo.defer(() => started.close());
  const secret = newSigningSecret();
  await webhooks.add({ id: randomUUIDv7(), tenantId: null, url: started.url, secret, events: null });
  return Object.assign(started, { secret });
}

function startSender(options: Partial<WebhookSenderOptions> = {}) {
  const client = createUndiciClient();
  const sender = startWebhookSender({
    outbox,
    client,
    clock: systemClock,
    random: () => 0.5,
    onFault: (_, error) => faults.push(error),
    pollMs: 10,
    pausesMs: [10, 10],
    ...options,
  });
  const close = async () => {
    await sender.close();
    await client.close();
  };
  undo.defer(close);
  return { close };
}

/** The deliveries, once they are all as they are wanted. */
async function untilAll(state: DeliveryReport['state'], count = 1): Promise<readonly DeliveryReport[]> {
  let found: readonly DeliveryReport[] = [];
  for (let wait = 0; wait < 500; wait++) {
    found = (await outbox.list({ limit: 1000 })).flatMap(({ deliveries }) => deliveries);
    if (found.length === count && found.every((it) => it.state === state)) return found;
    await sleep(10);
  }
  throw new Error(`not all of ${count} became ${state}: ${JSON.stringify(found)}`);
}

describe('the webhook sender', () => {
  it('delivers an event once, signed, with what it says', async () => {
    const acme = await receiver();
    startSender();
    await happened();
    await untilAll('delivered');
    await sleep(50);
    expect(acme.received).toHaveLength(1);
    const [event] = await outbox.list({ limit: 1 });
    expect(acme.received[0]?.body).toEqual({
      id: event?.id,
      type: 'balance.low',
      timestamp: event?.createdAt.toISOString(),
      data: { number: 1 },
    });
    expect(acme.received[0]?.id).toBe(event?.id);
    expect(acme.received[0]?.verifiesWith(acme.secret)).toBe(true);
    expect(acme.received[0]?.verifiesWith(newSigningSecret())).toBe(false);
    expect(faults).toEqual([]);
  });

  it('tries again what failed, under the same id, and gives up after the last pause', async () => {
    const mended = await receiver((response, index) => {
      response.statusCode = index < 2 ? 500 : 204;
      response.end();
    });
    const broken = await receiver((response) => void response.writeHead(503).end());
    startSender();
    await happened();
    await mended.until(3);
    await broken.until(3);
    for (let wait = 0; wait < 100; wait++) {
      const [event] = await outbox.list({ limit: 1 });
      if (event?.deliveries.every(({ state }) => state !== 'due')) break;
      await sleep(10);
    }
    const [event] = await outbox.list({ limit: 1 });
    expect(new Set(event?.deliveries.map((it) => `${it.state} ${it.attempts} ${it.lastError}`))).toEqual(
      new Set(['delivered 3 null', 'failed 3 it answered 503']),
    );
    expect(new Set([...mended.received, ...broken.received].map(({ id }) => id))).toEqual(
      new Set([event?.id]),
    );
  });

  it('is not held up by a webhook that never answers, and ends the attempt at its time', async () => {
    const silent = await receiver(() => undefined);
    const well = await receiver();
    startSender({ timeoutMs: 200, pausesMs: [] });
    await happened(30);
    await well.until(30);
    expect(silent.received.length).toBeLessThan(30);
    await silent.until(30);
    expect(silent.mostAtOnce).toBeLessThanOrEqual(8);
    expect(faults).toEqual([]);
  });

  it('follows no redirect and reads no answer, however long', async () => {
    const target = await startReceiver();
    undo.defer(() => target.close());
    await receiver((response) => void response.writeHead(307, { location: target.url }).end());
    startSender({ pausesMs: [] });
    await happened();
    expect(await untilAll('failed')).toMatchObject([{ lastError: 'it answered 307' }]);
    expect(target.received).toEqual([]);
  });

  it.each(['plain', 'gzip'])(
    'takes an answer that never ends (%s) for what its status says',
    async (encoding) => {
      await receiver((response) => {
        response.writeHead(200, encoding === 'gzip' ? { 'content-encoding': 'gzip' } : {});
        response.write(
          encoding === 'gzip' ? gzipSync('x'.repeat(10_000)).subarray(0, 20) : 'x'.repeat(100_000),
        );
      });
      startSender();
      await happened();
      await untilAll('delivered');
      expect(faults).toEqual([]);
    },
  );

  it('sends nothing more to a webhook that is gone', async () => {
    const gone = await receiver((response) => void response.writeHead(410).end());
    startSender();
    await happened();
    await untilAll('failed');
    await happened();
    await sleep(60);
    expect(gone.received).toHaveLength(1);
    expect((await webhooks.list())[0]?.disabledAt).toBeInstanceOf(Date);
  });

  it('sends what there is without waiting in between, a few at a time', async () => {
    const acme = await receiver();
    await happened(100);
    startSender({ pollMs: 600_000 });
    await untilAll('delivered', 100);
    expect(acme.mostAtOnce).toBeLessThanOrEqual(8);
  });

  it('is one of two on one outbox, and each delivery is sent by one of them', async () => {
    const acme = await receiver(async (response) => {
      await sleep(5);
      response.end();
    });
    startSender();
    startSender();
    await happened(200);
    await untilAll('delivered', 200);
    expect(acme.received).toHaveLength(200);
    expect(new Set(acme.received.map(({ id }) => id)).size).toBe(200);
  });

  it('leaves what a process died over to the next, which repeats it under the same id', async () => {
    const acme = await receiver();
    // As one that is stopped between the answer and its record: it claims once, and is heard of no more.
    let alive = true;
    const dying: Outbox = {
      ...outbox,
      claim: async (claim) => {
        const claimed = alive ? await outbox.claim({ ...claim, leaseMs: 300 }) : [];
        alive &&= claimed.length === 0;
        return claimed;
      },
      delivered: () => new Promise(() => undefined),
    };
    const client = createUndiciClient();
    undo.defer(() => client.close());
    const options = {
      outbox: dying,
      client,
      clock: systemClock,
      random: () => 0.5,
      onFault: () => undefined,
    };
    startWebhookSender({ ...options, pollMs: 10 });
    await happened();
    await acme.until(1);
    startSender();
    await untilAll('delivered');
    expect(acme.received.length).toBeGreaterThan(1);
    expect(new Set(acme.received.map(({ id }) => id)).size).toBe(1);
  });

  it('ends what hangs when it is closed, and leaves it to be tried again', async () => {
    const silent = await receiver(() => undefined);
    const sender = startSender({ graceMs: 50, timeoutMs: 60_000 });
    await happened();
    await silent.until(1);
    await sender.close();
    const [event] = await outbox.list({ limit: 1 });
    expect(event?.deliveries).toMatchObject([
      { state: 'due', attempts: 1, lastError: 'the gateway stopped' },
    ]);
  });

  it('goes on when the ledger is back, having said once that it was away', async () => {
    const acme = await receiver();
    let away = true;
    const shaky: Outbox = {
      ...outbox,
      dispatch: () => (away ? Promise.reject(new Error('away')) : outbox.dispatch()),
    };
    startSender({ outbox: shaky });
    await happened();
    await sleep(100);
    away = false;
    await acme.until(1);
    expect(faults).toHaveLength(1);
  });
});
