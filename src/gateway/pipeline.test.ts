import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { gated, RecordedClient, requestOf, stateOf, until, useParts } from '../../test/support/pipeline.ts';
import { systemClock } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import { parseAmount } from '../domain/money.ts';
import { createMemoryHotState } from '../hot-state/memory.ts';
import type { Ledger } from '../ledger/ledger.ts';

// What stands between the steps: the order of durable writes and bytes, and a ledger that is away.

const given = useParts();

const away = () => new Fault('LEDGER_UNAVAILABLE', 'away');

describe('the order of things', () => {
  it.each([true, false])(
    'no byte reaches the client before the PENDING row is durable (stream: %s)',
    async (stream) => {
      const { ledger, open } = gated(given.parts.ledger, 'createPending', 'after');
      const client = new RecordedClient();
      const before = given.parts.simulator.requests.completed;
      const served = given.parts
        .pipeline({ ledger })
        .serve(requestOf(given.tenant.apiKey, '', { stream }), client);
      // Upstream was asked meanwhile: a durable hold costs the client no time.
      await until(() => given.parts.simulator.requests.completed > before);
      await sleep(50);
      expect(client.head).toBeNull();
      open();
      await served;
      expect(client.end_).toBe('ended');
    },
  );

  it('a stream does not end before its COMMIT is in', async () => {
    const { ledger, open } = gated(given.parts.ledger, 'commitPending', 'before');
    const client = new RecordedClient();
    const served = given.parts
      .pipeline({ ledger })
      .serve(requestOf(given.tenant.apiKey, '', { stream: true }), client);
    await until(() => client.text.includes('"finish_reason":"stop"'));
    await sleep(50);
    expect(client.text).not.toContain('[DONE]');
    expect(client.end_).toBeNull();
    open();
    await served;
    expect(client.text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect((await stateOf(given.parts, given.tenant.id)).rows).toMatchObject([{ status: 'COMMITTED' }]);
  });

  it('the hold is given back only after the ledger has the charge, and hot state then equals the ledger', async () => {
    const { ledger, open } = gated(given.parts.ledger, 'commitPending', 'after');
    const served = given.parts
      .pipeline({ ledger })
      .serve(requestOf(given.tenant.apiKey, ''), new RecordedClient());
    await until(async () => (await stateOf(given.parts, given.tenant.id)).rows[0]?.status === 'COMMITTED');
    const between = await stateOf(given.parts, given.tenant.id);
    expect(between.held).toBeGreaterThan(0n);
    expect(between.hotBalance).toBe(parseAmount('100'));
    open();
    await served;
    const after = await stateOf(given.parts, given.tenant.id);
    expect(after.held).toBe(0n);
    expect(after.hotBalance).toBe(after.balance);
  });
});

describe('a ledger that is away', () => {
  it('at the start refuses with LEDGER_UNAVAILABLE, stops upstream, and gives the hold back once it is there', async () => {
    let isAway = true;
    const ledger: Ledger = {
      ...given.parts.ledger,
      createPending: async (draft) => {
        if (isAway) throw away();
        return await given.parts.ledger.createPending(draft);
      },
      voidPending: async (close) => {
        if (isAway) throw away();
        return await given.parts.ledger.voidPending(close);
      },
    };
    const pipeline = given.parts.pipeline({ ledger });
    const client = new RecordedClient();
    await pipeline.serve(requestOf(given.tenant.apiKey, 'ttfb_ms=10000'), client);
    expect(client.code).toBe('LEDGER_UNAVAILABLE');
    await given.parts.simulator.requests.settled();
    expect((await stateOf(given.parts, given.tenant.id)).held).toBeGreaterThan(0n);
    isAway = false;
    await pipeline.idle();
    expect(await stateOf(given.parts, given.tenant.id)).toMatchObject({
      held: 0n,
      open: 0,
      rows: [],
      balance: parseAmount('100'),
    });
  });

  it('that has too much to do refuses with OVERLOADED, and the hold is free at once: nothing was written', async () => {
    const ledger: Ledger = {
      ...given.parts.ledger,
      createPending: () => Promise.reject(new Fault('OVERLOADED', 'too much')),
    };
    const client = new RecordedClient();
    await given.parts.pipeline({ ledger }).serve(requestOf(given.tenant.apiKey, ''), client);
    expect(client.code).toBe('OVERLOADED');
    expect(await stateOf(given.parts, given.tenant.id)).toMatchObject({ held: 0n, open: 0, rows: [] });
  });

  it('whose answer to createPending was lost: the row that it wrote is voided', async () => {
    const ledger: Ledger = {
      ...given.parts.ledger,
      createPending: async (draft) => {
        await given.parts.ledger.createPending(draft);
        throw away();
      },
    };
    const pipeline = given.parts.pipeline({ ledger });
    const client = new RecordedClient();
    await pipeline.serve(requestOf(given.tenant.apiKey, ''), client);
    expect(client.code).toBe('LEDGER_UNAVAILABLE');
    await pipeline.idle();
    expect(await stateOf(given.parts, given.tenant.id)).toMatchObject({
      held: 0n,
      open: 0,
      rows: [{ status: 'VOIDED' }],
    });
  });

  it('at the end keeps the answer waiting for so long and then completes it; the charge gets in later', async () => {
    let isAway = true;
    const ledger: Ledger = {
      ...given.parts.ledger,
      commitPending: async (commit) => {
        if (isAway) throw away();
        return await given.parts.ledger.commitPending(commit);
      },
    };
    const pipeline = given.parts.pipeline({ ledger, commitWaitMs: 200 });
    const client = new RecordedClient();
    await pipeline.serve(requestOf(given.tenant.apiKey, '', { stream: true }), client);
    expect(client.text).toContain('[DONE]');
    expect(await stateOf(given.parts, given.tenant.id)).toMatchObject({
      open: 1,
      rows: [{ status: 'PENDING' }],
    });
    isAway = false;
    await pipeline.idle();
    const after = await stateOf(given.parts, given.tenant.id);
    expect(after).toMatchObject({ held: 0n, open: 0, rows: [{ status: 'COMMITTED' }] });
    expect(after.hotBalance).toBe(after.balance);
  });

  it('whose answer to commitPending was lost charges once, and hot state learns of it', async () => {
    let lost = 0;
    const ledger: Ledger = {
      ...given.parts.ledger,
      commitPending: async (commit) => {
        const answer = await given.parts.ledger.commitPending(commit);
        if (lost++ === 0) throw away();
        return answer;
      },
    };
    const pipeline = given.parts.pipeline({ ledger });
    const client = new RecordedClient();
    await pipeline.serve(requestOf(given.tenant.apiKey, ''), client);
    await pipeline.idle();
    const after = await stateOf(given.parts, given.tenant.id);
    expect(lost).toBe(2);
    expect(after).toMatchObject({ held: 0n, rows: [{ status: 'COMMITTED' }] });
    expect(after.hotBalance).toBe(after.balance);
    expect(client.head).toMatchObject({
      kind: 'upstream',
      headers: { 'x-billing-amount': expect.any(String) },
    });
  });

  it.each([
    ['after a stream leaves it PENDING with its money held', true, 'PENDING', 'abandoned'],
    ['of an answer that nobody has seen voids it', false, 'VOIDED', 'ended'],
  ])('that refuses a commit for good %s, and says so', async (_, stream, status, end) => {
    const ledger: Ledger = {
      ...given.parts.ledger,
      commitPending: async () => {
        throw new Error('numeric field overflow');
      },
    };
    const pipeline = given.parts.pipeline({ ledger });
    const client = new RecordedClient();
    await pipeline.serve(requestOf(given.tenant.apiKey, '', { stream }), client);
    await pipeline.idle();
    const { rows, held = 0n } = await stateOf(given.parts, given.tenant.id);
    expect(rows).toMatchObject([{ status }]);
    expect(held > 0n).toBe(stream);
    expect(given.parts.faults.join()).toContain('numeric field overflow');
    expect(client.end_).toBe(end);
    expect(client.text).not.toContain('[DONE]');
  });
});

it('a second gateway life knows the open holds of the first', async () => {
  const { ledger, open } = gated(given.parts.ledger, 'commitPending', 'before');
  const small = await given.parts.addTenant('0.01');
  const served = given.parts.pipeline({ ledger }).serve(requestOf(small.apiKey, ''), new RecordedClient());
  await until(async () => (await stateOf(given.parts, small.id)).open === 1);
  const fresh = given.parts.pipeline({ hotState: createMemoryHotState({ clock: systemClock }) });
  const client = new RecordedClient();
  await fresh.serve(requestOf(small.apiKey, '', { max_tokens: 4000 }), client);
  expect(client.code).toBe('QUOTA_BALANCE_EXCEEDED');
  open();
  await served;
});
