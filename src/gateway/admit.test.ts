import { randomUUIDv7 } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  RecordedClient,
  requestOf,
  stateOf,
  type TestTenant,
  useParts,
} from '../../test/support/pipeline.ts';
import { hashRequest, type TraceId, type TransactionId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Pipeline } from './pipeline.ts';

// How much is held, and what is written into the request for want of more.

const given = useParts();

describe('a hold', () => {
  it('covers every answer that was asked for', async () => {
    const one = await given.parts.addTenant();
    await given.parts.pipeline().serve(requestOf(one.apiKey, '', { max_tokens: 1000 }), new RecordedClient());
    await given.parts
      .pipeline()
      .serve(requestOf(one.apiKey, '', { max_tokens: 1000, n: 5 }), new RecordedClient());
    const [five, single] = (await stateOf(given.parts, one.id)).rows.map(
      ({ holdAmount }) => holdAmount ?? 0n,
    );
    expect(five! - single!).toBe(parseAmount('0.008'));
  });
});

describe('a maximum that the client did not set', () => {
  it('is what the balance affords, and upstream is told', async () => {
    const poor = await given.parts.addTenant('0.01');
    const client = new RecordedClient();
    await given.parts.pipeline().serve(requestOf(poor.apiKey, 'tokens=4096'), client);
    expect(client.head).toMatchObject({ kind: 'upstream', status: 200 });
    // 4,096 is the model's own maximum, which the balance affords: the body is left alone.
    expect(JSON.parse(given.parts.simulator.requests.last!.body)).not.toHaveProperty('max_tokens');
    const poorer = await given.parts.addTenant('0.002');
    const clamped = new RecordedClient();
    await given.parts.pipeline().serve(requestOf(poorer.apiKey, 'tokens=9000'), clamped);
    const { max_tokens: maximum } = JSON.parse(given.parts.simulator.requests.last!.body);
    expect(maximum).toBeGreaterThan(900);
    expect(maximum).toBeLessThan(1000);
    const { balance, rows } = await stateOf(given.parts, poorer.id);
    expect(rows).toMatchObject([{ status: 'COMMITTED', outputTokens: maximum }]);
    expect(balance >= 0n).toBe(true);
  });

  it('is not cut below what makes an answer: then it is refused', async () => {
    const poor = await given.parts.addTenant('0.0005');
    const client = new RecordedClient();
    await given.parts.pipeline().serve(requestOf(poor.apiKey, ''), client);
    expect(client.code).toBe('QUOTA_BALANCE_EXCEEDED');
    expect((await stateOf(given.parts, poor.id)).rows).toEqual([]);
  });
});

it('a prompt longer than the model is priced for is REQUEST_TOO_LARGE and leaves no row', async () => {
  const client = new RecordedClient();
  const messages = [{ role: 'user', content: 'sea '.repeat(2000) }];
  await given.parts.pipeline().serve(requestOf(given.tenant.apiKey, '', { messages }), client);
  expect(client.code).toBe('REQUEST_TOO_LARGE');
  expect((await stateOf(given.parts, given.tenant.id)).rows).toEqual([]);
});

describe('a denial', () => {
  const topUp = (tenantId: TestTenant['id'], amount: string) =>
    given.parts.ledger.credit({
      id: randomUUIDv7() as TransactionId,
      tenantId,
      traceId: `top-up of ${amount}` as TraceId,
      requestHash: hashRequest(amount),
      type: 'TOPUP',
      amount: parseAmount(amount),
      description: null,
    });
  const ask = async ({ apiKey }: TestTenant) => {
    const client = new RecordedClient();
    await pipeline.serve(requestOf(apiKey, '', { max_tokens: 1000 }), client);
    return client.code;
  };
  let pipeline: Pipeline;
  let snapshots: number;

  beforeEach(() => {
    snapshots = 0;
    const { ledger } = given.parts;
    const counting: Ledger = {
      ...ledger,
      snapshot: (tenantId) => {
        snapshots++;
        return ledger.snapshot(tenantId);
      },
    };
    pipeline = given.parts.pipeline({ ledger: counting });
  });

  it('is not said for want of a top-up that hot state never heard of', async () => {
    const poor = await given.parts.addTenant('0.0001');
    const loader = given.parts.pipeline();
    await loader.serve(requestOf(poor.apiKey, '', { max_tokens: 1000 }), new RecordedClient());
    await topUp(poor.id, '1');
    expect((await given.parts.hotState.look(poor.id))?.projection.balance).toBe(parseAmount('0.0001'));
    expect(await ask(poor)).toBeNull();
  });

  it('asks the ledger once, however many are denied together', async () => {
    const poor = await given.parts.addTenant('0.0001');
    const codes = await Promise.all(Array.from({ length: 50 }, () => ask(poor)));
    expect(new Set(codes)).toEqual(new Set(['QUOTA_BALANCE_EXCEEDED']));
    // One to load the tenant, and one to be sure.
    expect(snapshots).toBe(2);
  });
});
