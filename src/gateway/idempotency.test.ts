import { describe, expect, it } from 'vitest';
import { gated, RecordedClient, requestOf, stateOf, until, useParts } from '../../test/support/pipeline.ts';

// Two requests under one trace id: one runs, one pays, and neither can give back the other's hold.

const given = useParts();

describe('a repeat of an open Idempotency-Key', () => {
  it("never gives back the first one's hold, however it ends, and runs nothing", async () => {
    const { ledger, open } = gated(given.parts.ledger, 'commitPending', 'before');
    const pipeline = given.parts.pipeline({ ledger });
    const keyed = (changes: object) =>
      requestOf(given.tenant.apiKey, '', changes, { 'idempotency-key': 'one' });
    const { requests } = given.parts.simulator;
    const asked = requests.count + 1;
    const first = new RecordedClient();
    const served = pipeline.serve(keyed({}), first);
    await until(async () => (await stateOf(given.parts, given.tenant.id)).open === 1);
    await until(async () => requests.count === asked);
    const { held } = await stateOf(given.parts, given.tenant.id);
    const gone = new RecordedClient();
    gone.hangUp();
    await pipeline.serve(keyed({}), gone);
    const same = new RecordedClient();
    await pipeline.serve(keyed({}), same);
    const other = new RecordedClient();
    await pipeline.serve(keyed({ temperature: 1 }), other);
    expect([same.code, other.code]).toEqual(['REQUEST_IN_PROGRESS', 'IDEMPOTENCY_CONFLICT']);
    expect((await stateOf(given.parts, given.tenant.id)).held).toBe(held);
    expect(requests.count).toBe(asked);
    open();
    await served;
    expect(await stateOf(given.parts, given.tenant.id)).toMatchObject({
      held: 0n,
      rows: [{ status: 'COMMITTED' }],
    });
  });

  it('is refused by the hold alone while the first row is not durable yet', async () => {
    const { ledger, open } = gated(given.parts.ledger, 'createPending', 'before');
    const pipeline = given.parts.pipeline({ ledger });
    const keyed = () => requestOf(given.tenant.apiKey, '', {}, { 'idempotency-key': 'early' });
    const first = new RecordedClient();
    const served = pipeline.serve(keyed(), first);
    await until(async () => ((await stateOf(given.parts, given.tenant.id)).held ?? 0n) > 0n);
    const second = new RecordedClient();
    await pipeline.serve(keyed(), second);
    expect(second.code).toBe('REQUEST_IN_PROGRESS');
    open();
    await served;
    expect(first.end_).toBe('ended');
    expect((await stateOf(given.parts, given.tenant.id)).rows).toHaveLength(1);
  });

  it('is told of the transaction though the balance is spent', async () => {
    const small = await given.parts.addTenant('0.0086');
    const keyed = () =>
      requestOf(small.apiKey, 'tokens=4000', { max_tokens: 4000 }, { 'idempotency-key': 'spent' });
    await given.parts.pipeline().serve(keyed(), new RecordedClient());
    const again = new RecordedClient();
    await given.parts.pipeline().serve(keyed(), again);
    expect(again.code).toBe('REQUEST_ALREADY_BILLED');
  });

  it('is the same request with another secret in its query, and another one with anything else there', async () => {
    const serveWith = async (query: string) => {
      const keyed = requestOf(given.tenant.apiKey, '', {}, { 'idempotency-key': 'query' });
      const client = new RecordedClient();
      const call = { ...keyed.call, query: new URLSearchParams(query) };
      await given.parts.pipeline().serve({ ...keyed, call }, client);
      return client.code;
    };
    await serveWith('token=one&user=a');
    expect(await serveWith('token=two&user=a')).toBe('REQUEST_ALREADY_BILLED');
    expect(await serveWith('token=two&user=b')).toBe('IDEMPOTENCY_CONFLICT');
  });

  it('may run again where the first never got a row', async () => {
    const keyed = () => requestOf(given.tenant.apiKey, '', {}, { 'idempotency-key': 'free' });
    const gone = new RecordedClient();
    gone.hangUp();
    await given.parts.pipeline().serve(keyed(), gone);
    const second = new RecordedClient();
    await given.parts.pipeline().serve(keyed(), second);
    expect(second.head).toMatchObject({ kind: 'upstream', status: 200 });
  });
});
