import { beforeEach, describe, expect, it } from 'vitest';
import { losableHotState } from '../../test/support/hot-state.ts';
import {
  gated,
  RecordedClient,
  requestOf,
  type TestTenant,
  until,
  useParts,
} from '../../test/support/pipeline.ts';
import { systemClock } from '../domain/clock.ts';
import { createMemoryHotState } from '../hot-state/memory.ts';

// Between the check and the durable row a hold is in hot state alone. Whatever becomes of it there, the money
// is never spent twice.

const given = useParts();

/** A balance for one request of this size, and not for two. */
const balance = '0.0086';
const request = (tenant: TestTenant) => requestOf(tenant.apiKey, 'tokens=20', { max_tokens: 4000 });

let tenant: TestTenant;
let hot: ReturnType<typeof losableHotState>;

beforeEach(async () => {
  tenant = await given.parts.addTenant(balance);
  hot = losableHotState(() => createMemoryHotState({ clock: systemClock }));
});

/** A request that is admitted and whose row waits until `open` is called. */
async function admittedRequest() {
  const { hotState } = hot;
  const { ledger, open } = gated(given.parts.ledger, 'createPending', 'before');
  const client = new RecordedClient();
  const served = given.parts.pipeline({ ledger, hotState }).serve(request(tenant), client);
  await until(async () => ((await hotState.look(tenant.id))?.openHolds ?? 0) === 1);
  return { client, served, open };
}

const other = async () => {
  const client = new RecordedClient();
  await given.parts.pipeline({ hotState: hot.hotState }).serve(request(tenant), client);
  return client;
};

const rows = () => given.parts.ledger.list({ tenantId: tenant.id, type: 'CHARGE', limit: 10 });

async function rowsOnceSettled() {
  await until(async () => (await rows()).every(({ status }) => status !== 'PENDING'));
  return await rows();
}

describe('a flush between the check and the row', () => {
  it('lets the request be served where its money is still there', async () => {
    const first = await admittedRequest();
    hot.flush();
    first.open();
    await first.served;
    expect(first.client.head).toMatchObject({ kind: 'upstream', status: 200 });
    expect(await rowsOnceSettled()).toMatchObject([{ status: 'COMMITTED' }]);
    await until(async () => (await hot.hotState.look(tenant.id))?.held === 0n);
  });

  it('does not let two requests have the same money: the later row gives way', async () => {
    const first = await admittedRequest();
    hot.flush();
    const { ledger, open } = gated(given.parts.ledger, 'commitPending', 'before');
    const second = new RecordedClient();
    const secondServed = given.parts
      .pipeline({ ledger, hotState: hot.hotState })
      .serve(request(tenant), second);
    await until(async () => (await hot.hotState.look(tenant.id))?.openHolds === 1);
    first.open();
    await first.served;
    expect(first.client.code).toBe('QUOTA_BALANCE_EXCEEDED');
    open();
    await secondServed;
    expect(second.head).toMatchObject({ kind: 'upstream', status: 200 });
    const settled = await rowsOnceSettled();
    expect(settled.map(({ status }) => status).sort()).toEqual(['COMMITTED', 'VOIDED']);
    await until(async () => (await hot.hotState.look(tenant.id))?.held === 0n);
  });

  it('admits nobody with the money of a row that is durable', async () => {
    const { ledger, open } = gated(given.parts.ledger, 'commitPending', 'before');
    const first = new RecordedClient();
    const served = given.parts.pipeline({ ledger, hotState: hot.hotState }).serve(request(tenant), first);
    await until(async () => (await rows()).length === 1);
    hot.flush();
    expect((await other()).code).toBe('QUOTA_BALANCE_EXCEEDED');
    open();
    await served;
    expect(first.end_).toBe('ended');
  });
});

describe('hot state that is away when the row is durable', () => {
  it('is waited for, and the request is served when it is back', async () => {
    const first = await admittedRequest();
    hot.goAway();
    hot.flush();
    first.open();
    await until(() => given.parts.faults.length > 0);
    hot.comeBack();
    await first.served;
    expect(first.client.head).toMatchObject({ kind: 'upstream', status: 200 });
  });

  it('refuses in bounded time, with nothing delivered and no charge, where it stays away', async () => {
    const first = await admittedRequest();
    hot.goAway();
    first.open();
    await first.served;
    expect(first.client.code).toBe('HOT_STATE_UNAVAILABLE');
    expect(await rowsOnceSettled()).toMatchObject([{ status: 'VOIDED' }]);
    hot.comeBack();
    await until(async () => (await hot.hotState.look(tenant.id))?.held === 0n);
  });
});
