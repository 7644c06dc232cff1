import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  gated,
  openParts,
  RecordedClient,
  requestOf,
  stateOf,
  type TestParts,
  until,
} from '../../test/support/pipeline.ts';
import type { TenantId } from '../domain/ids.ts';

// Two requests under one trace id: one runs, one pays, and neither can give back the other's hold.

let parts: TestParts;
let tenant: { id: TenantId; apiKey: string };

beforeAll(async () => {
  parts = await openParts();
});
afterAll(() => parts.close());
beforeEach(async () => {
  tenant = await parts.addTenant();
  parts.faults.length = 0;
});

describe('a repeat of an open Idempotency-Key', () => {
  it("never gives back the first one's hold, however it ends, and runs nothing", async () => {
    const { ledger, open } = gated(parts.ledger, 'commitPending', 'before');
    const pipeline = parts.pipeline({ ledger });
    const keyed = (changes: object) => requestOf(tenant.apiKey, '', changes, { 'idempotency-key': 'one' });
    const first = new RecordedClient();
    const served = pipeline.serve(keyed({}), first);
    await until(async () => (await stateOf(parts, tenant.id)).open === 1);
    const { held } = await stateOf(parts, tenant.id);
    const asked = parts.simulator.requests.count;
    const gone = new RecordedClient();
    gone.hangUp();
    await pipeline.serve(keyed({}), gone);
    const same = new RecordedClient();
    await pipeline.serve(keyed({}), same);
    const other = new RecordedClient();
    await pipeline.serve(keyed({ temperature: 1 }), other);
    expect([same.code, other.code]).toEqual(['REQUEST_IN_PROGRESS', 'IDEMPOTENCY_CONFLICT']);
    expect((await stateOf(parts, tenant.id)).held).toBe(held);
    expect(parts.simulator.requests.count).toBe(asked);
    open();
    await served;
    expect(await stateOf(parts, tenant.id)).toMatchObject({ held: 0n, rows: [{ status: 'COMMITTED' }] });
  });

  it('is refused by the hold alone while the first row is not durable yet', async () => {
    const { ledger, open } = gated(parts.ledger, 'createPending', 'before');
    const pipeline = parts.pipeline({ ledger });
    const keyed = () => requestOf(tenant.apiKey, '', {}, { 'idempotency-key': 'early' });
    const first = new RecordedClient();
    const served = pipeline.serve(keyed(), first);
    await until(async () => ((await stateOf(parts, tenant.id)).held ?? 0n) > 0n);
    const second = new RecordedClient();
    await pipeline.serve(keyed(), second);
    expect(second.code).toBe('REQUEST_IN_PROGRESS');
    open();
    await served;
    expect(first.end_).toBe('ended');
    expect((await stateOf(parts, tenant.id)).rows).toHaveLength(1);
  });

  it('is told of the transaction though the balance is spent', async () => {
    const small = await parts.addTenant('0.0086');
    const keyed = () =>
      requestOf(small.apiKey, 'tokens=4000', { max_tokens: 4000 }, { 'idempotency-key': 'spent' });
    await parts.pipeline().serve(keyed(), new RecordedClient());
    const again = new RecordedClient();
    await parts.pipeline().serve(keyed(), again);
    expect(again.code).toBe('REQUEST_ALREADY_BILLED');
  });

  it('may run again where the first never got a row', async () => {
    const keyed = () => requestOf(tenant.apiKey, '', {}, { 'idempotency-key': 'free' });
    const gone = new RecordedClient();
    gone.hangUp();
    await parts.pipeline().serve(keyed(), gone);
    const second = new RecordedClient();
    await parts.pipeline().serve(keyed(), second);
    expect(second.head).toMatchObject({ kind: 'upstream', status: 200 });
  });
});
