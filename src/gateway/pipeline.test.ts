import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openParts, RecordedClient, requestOf, type TestParts } from '../../test/support/pipeline.ts';
import { systemClock } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import { parseAmount } from '../domain/money.ts';
import { createMemoryHotState } from '../hot-state/memory.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { UpstreamClient } from '../upstream/upstream.ts';

// What stands between the steps: the order of durable writes and bytes, and a ledger that is away.

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

const away = () => new Fault('LEDGER_UNAVAILABLE', 'away');

function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}

/** Waits, bounded, for what happens on another way than the one that is awaited. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (await condition()) return;
    await sleep(10);
  }
  throw new Error('it never came to be');
}

async function stateOf(tenantId: TenantId) {
  const snapshot = await parts.ledger.snapshot(tenantId);
  if (snapshot.kind !== 'snapshot') throw new Error('no such tenant');
  const hot = await parts.hotState.look(tenantId);
  return {
    balance: snapshot.projection.balance,
    open: snapshot.openPendings.length,
    held: hot?.held,
    hotBalance: hot?.projection.balance,
    rows: (await parts.ledger.list({ tenantId, limit: 100 })).slice(0, -1),
  };
}

describe('the order of things', () => {
  it.each([true, false])(
    'no byte reaches the client before the PENDING row is durable (stream: %s)',
    async (stream) => {
      const { passed, open } = gate();
      const ledger: Ledger = {
        ...parts.ledger,
        createPending: async (draft) => {
          const answer = await parts.ledger.createPending(draft);
          await passed;
          return answer;
        },
      };
      const client = new RecordedClient();
      const before = parts.simulator.requests.completed;
      const served = parts.pipeline({ ledger }).serve(requestOf(tenant.apiKey, '', { stream }), client);
      // Upstream was asked meanwhile: a durable hold costs the client no time.
      await until(() => parts.simulator.requests.completed > before);
      await sleep(50);
      expect(client.head).toBeNull();
      open();
      await served;
      expect(client.end_).toBe('ended');
    },
  );

  it('a stream does not end before its COMMIT is in', async () => {
    const { passed, open } = gate();
    const ledger: Ledger = {
      ...parts.ledger,
      commitPending: async (commit) => {
        await passed;
        return await parts.ledger.commitPending(commit);
      },
    };
    const client = new RecordedClient();
    const served = parts.pipeline({ ledger }).serve(requestOf(tenant.apiKey, '', { stream: true }), client);
    await until(() => client.text.includes('"finish_reason":"stop"'));
    await sleep(50);
    expect(client.text).not.toContain('[DONE]');
    expect(client.end_).toBeNull();
    open();
    await served;
    expect(client.text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect((await stateOf(tenant.id)).rows).toMatchObject([{ status: 'COMMITTED' }]);
  });

  it('the hold is given back only after the ledger has the charge, and hot state then equals the ledger', async () => {
    const { passed, open } = gate();
    const ledger: Ledger = {
      ...parts.ledger,
      commitPending: async (commit) => {
        const answer = await parts.ledger.commitPending(commit);
        await passed;
        return answer;
      },
    };
    const served = parts.pipeline({ ledger }).serve(requestOf(tenant.apiKey, ''), new RecordedClient());
    await until(async () => (await stateOf(tenant.id)).rows[0]?.status === 'COMMITTED');
    const between = await stateOf(tenant.id);
    expect(between.held).toBeGreaterThan(0n);
    expect(between.hotBalance).toBe(parseAmount('100'));
    open();
    await served;
    const after = await stateOf(tenant.id);
    expect(after.held).toBe(0n);
    expect(after.hotBalance).toBe(after.balance);
  });
});

describe('a ledger that is away', () => {
  it('at the start refuses with LEDGER_UNAVAILABLE, stops upstream, and gives the hold back once it is there', async () => {
    let isAway = true;
    const ledger: Ledger = {
      ...parts.ledger,
      createPending: async (draft) => {
        if (isAway) throw away();
        return await parts.ledger.createPending(draft);
      },
      voidPending: async (close) => {
        if (isAway) throw away();
        return await parts.ledger.voidPending(close);
      },
    };
    const pipeline = parts.pipeline({ ledger });
    const client = new RecordedClient();
    await pipeline.serve(requestOf(tenant.apiKey, 'ttfb_ms=10000'), client);
    expect(client.code).toBe('LEDGER_UNAVAILABLE');
    await parts.simulator.requests.settled();
    expect((await stateOf(tenant.id)).held).toBeGreaterThan(0n);
    isAway = false;
    await pipeline.idle();
    expect(await stateOf(tenant.id)).toMatchObject({
      held: 0n,
      open: 0,
      rows: [],
      balance: parseAmount('100'),
    });
  });

  it('whose answer to createPending was lost: the row that it wrote is voided', async () => {
    const ledger: Ledger = {
      ...parts.ledger,
      createPending: async (draft) => {
        await parts.ledger.createPending(draft);
        throw away();
      },
    };
    const pipeline = parts.pipeline({ ledger });
    const client = new RecordedClient();
    await pipeline.serve(requestOf(tenant.apiKey, ''), client);
    expect(client.code).toBe('LEDGER_UNAVAILABLE');
    await pipeline.idle();
    expect(await stateOf(tenant.id)).toMatchObject({ held: 0n, open: 0, rows: [{ status: 'VOIDED' }] });
  });

  it('at the end keeps the answer waiting for so long and then completes it; the charge gets in later', async () => {
    let isAway = true;
    const ledger: Ledger = {
      ...parts.ledger,
      commitPending: async (commit) => {
        if (isAway) throw away();
        return await parts.ledger.commitPending(commit);
      },
    };
    const pipeline = parts.pipeline({ ledger, commitWaitMs: 200 });
    const client = new RecordedClient();
    await pipeline.serve(requestOf(tenant.apiKey, '', { stream: true }), client);
    expect(client.text).toContain('[DONE]');
    expect(await stateOf(tenant.id)).toMatchObject({ open: 1, rows: [{ status: 'PENDING' }] });
    isAway = false;
    await pipeline.idle();
    const after = await stateOf(tenant.id);
    expect(after).toMatchObject({ held: 0n, open: 0, rows: [{ status: 'COMMITTED' }] });
    expect(after.hotBalance).toBe(after.balance);
  });

  it('whose answer to commitPending was lost charges once, and hot state learns of it', async () => {
    let lost = 0;
    const ledger: Ledger = {
      ...parts.ledger,
      commitPending: async (commit) => {
        const answer = await parts.ledger.commitPending(commit);
        if (lost++ === 0) throw away();
        return answer;
      },
    };
    const pipeline = parts.pipeline({ ledger });
    const client = new RecordedClient();
    await pipeline.serve(requestOf(tenant.apiKey, ''), client);
    await pipeline.idle();
    const after = await stateOf(tenant.id);
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
      ...parts.ledger,
      commitPending: async () => {
        throw new Error('numeric field overflow');
      },
    };
    const pipeline = parts.pipeline({ ledger });
    const client = new RecordedClient();
    await pipeline.serve(requestOf(tenant.apiKey, '', { stream }), client);
    await pipeline.idle();
    const { rows, held = 0n } = await stateOf(tenant.id);
    expect(rows).toMatchObject([{ status }]);
    expect(held > 0n).toBe(stream);
    expect(parts.faults.join()).toContain('numeric field overflow');
    expect(client.end_).toBe(end);
    expect(client.text).not.toContain('[DONE]');
  });
});

describe('a repeat of an open Idempotency-Key', () => {
  it("never gives back the first one's hold, however it ends, and runs nothing", async () => {
    const { passed, open } = gate();
    const ledger: Ledger = {
      ...parts.ledger,
      commitPending: async (commit) => {
        await passed;
        return await parts.ledger.commitPending(commit);
      },
    };
    const pipeline = parts.pipeline({ ledger });
    const keyed = (changes: object) => requestOf(tenant.apiKey, '', changes, { 'idempotency-key': 'one' });
    const first = new RecordedClient();
    const served = pipeline.serve(keyed({}), first);
    await until(async () => (await stateOf(tenant.id)).open === 1);
    const { held } = await stateOf(tenant.id);
    const asked = parts.simulator.requests.count;
    const gone = new RecordedClient();
    gone.hangUp();
    await pipeline.serve(keyed({}), gone);
    const same = new RecordedClient();
    await pipeline.serve(keyed({}), same);
    const other = new RecordedClient();
    await pipeline.serve(keyed({ temperature: 1 }), other);
    expect([same.code, other.code]).toEqual(['REQUEST_IN_PROGRESS', 'IDEMPOTENCY_CONFLICT']);
    expect((await stateOf(tenant.id)).held).toBe(held);
    expect(parts.simulator.requests.count).toBe(asked);
    open();
    await served;
    expect(await stateOf(tenant.id)).toMatchObject({ held: 0n, rows: [{ status: 'COMMITTED' }] });
  });

  it('is refused by the hold alone while the first row is not durable yet', async () => {
    const { passed, open } = gate();
    const ledger: Ledger = {
      ...parts.ledger,
      createPending: async (draft) => {
        await passed;
        return await parts.ledger.createPending(draft);
      },
    };
    const pipeline = parts.pipeline({ ledger });
    const keyed = () => requestOf(tenant.apiKey, '', {}, { 'idempotency-key': 'early' });
    const first = new RecordedClient();
    const served = pipeline.serve(keyed(), first);
    await until(async () => ((await stateOf(tenant.id)).held ?? 0n) > 0n);
    const second = new RecordedClient();
    await pipeline.serve(keyed(), second);
    expect(second.code).toBe('REQUEST_IN_PROGRESS');
    open();
    await served;
    expect(first.end_).toBe('ended');
    expect((await stateOf(tenant.id)).rows).toHaveLength(1);
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

describe('a hold', () => {
  it('covers every answer that was asked for', async () => {
    const one = await parts.addTenant();
    await parts.pipeline().serve(requestOf(one.apiKey, '', { max_tokens: 1000 }), new RecordedClient());
    await parts.pipeline().serve(requestOf(one.apiKey, '', { max_tokens: 1000, n: 5 }), new RecordedClient());
    const [five, single] = (await stateOf(one.id)).rows.map(({ holdAmount }) => holdAmount ?? 0n);
    expect(five! - single!).toBe(parseAmount('0.008'));
  });
});

describe('a request that takes too long', () => {
  it('is ended before its PENDING row expires, and pays what it was sent', async () => {
    const pipeline = parts.pipeline({ pendingTtlMs: 60_300 });
    const client = new RecordedClient();
    await pipeline.serve(
      requestOf(tenant.apiKey, 'tokens_per_second=20&tokens=4000', { stream: true }),
      client,
    );
    expect(client.text).toContain('UPSTREAM_TIMEOUT');
    const { rows } = await stateOf(tenant.id);
    expect(rows).toMatchObject([{ status: 'COMMITTED', usageMethod: 'tiktoken' }]);
  });
});

describe('a client that is gone', () => {
  it('while its row is being written: upstream is not left running', async () => {
    const { passed, open } = gate();
    const ledger: Ledger = {
      ...parts.ledger,
      createPending: async (draft) => {
        await passed;
        return await parts.ledger.createPending(draft);
      },
    };
    const client = new RecordedClient();
    const pipeline = parts.pipeline({ ledger });
    const before = parts.simulator.requests.completed;
    const keyed = requestOf(
      tenant.apiKey,
      'tokens_per_second=50&tokens=400',
      { stream: true },
      { 'idempotency-key': 'left' },
    );
    const served = pipeline.serve(keyed, client);
    await until(async () => ((await stateOf(tenant.id)).held ?? 0n) > 0n);
    client.hangUp();
    open();
    await served;
    await pipeline.idle();
    await parts.simulator.requests.settled();
    expect(parts.simulator.requests.completed).toBe(before);
    expect(await stateOf(tenant.id)).toMatchObject({ held: 0n, open: 0 });
  });

  it('before its request was admitted leaves no row and no hold', async () => {
    const client = new RecordedClient();
    client.hangUp();
    const pipeline = parts.pipeline();
    await pipeline.serve(requestOf(tenant.apiKey, ''), client);
    await pipeline.idle();
    expect(await stateOf(tenant.id)).toMatchObject({ held: 0n, rows: [] });
  });

  it('while upstream was not yet reached pays nothing', async () => {
    const client = new RecordedClient();
    const pipeline = parts.pipeline({
      upstreams: {
        send: (call) =>
          new Promise((resolve) => {
            call.signal.addEventListener('abort', () =>
              resolve({ kind: 'unreachable', reason: 'aborted', sent: false, cause: null }),
            );
            client.hangUp();
          }),
        close: async () => undefined,
      },
    });
    await pipeline.serve(requestOf(tenant.apiKey, ''), client);
    await pipeline.idle();
    expect(await stateOf(tenant.id)).toMatchObject({ held: 0n, rows: [{ status: 'VOIDED' }] });
  });
});

/** An upstream that answers with exactly this. */
function answering(
  status: number,
  headers: Record<string, string>,
  ...chunks: readonly string[]
): UpstreamClient {
  return {
    send: async () => ({
      kind: 'response',
      status,
      headers,
      body: (async function* () {
        for (const chunk of chunks) yield Buffer.from(chunk);
      })(),
    }),
    close: async () => undefined,
  };
}

const sse = { 'content-type': 'text/event-stream' };
const event = (json: object) => `data: ${JSON.stringify(json)}\n\n`;

describe('what a provider may say', () => {
  it.each([
    ['a finish reason', event({ choices: [{ index: 0, delta: { content: 'a' }, finish_reason: 'st\0op' }] })],
    [
      'an error',
      event({ choices: [{ index: 0, delta: { content: 'a' } }] }) + event({ error: { message: 'br\0ken' } }),
    ],
  ])('with a NUL in %s is settled all the same', async (_, body) => {
    const pipeline = parts.pipeline({ upstreams: answering(200, sse, body, 'data: [DONE]\n\n') });
    await pipeline.serve(requestOf(tenant.apiKey, '', { stream: true }), new RecordedClient());
    await pipeline.idle();
    expect(await stateOf(tenant.id)).toMatchObject({ open: 0, held: 0n, rows: [{ status: 'COMMITTED' }] });
    expect(parts.faults).toEqual([]);
  });

  it('is not believed when it is more tokens than there are', async () => {
    const usage = { prompt_tokens: 1e15, completion_tokens: 5, total_tokens: 1e15 + 5 };
    const choices = [{ index: 0, message: { role: 'assistant', content: 'a' }, finish_reason: 'stop' }];
    const answer = answering(200, { 'content-type': 'application/json' }, JSON.stringify({ choices, usage }));
    const pipeline = parts.pipeline({ upstreams: answer });
    await pipeline.serve(requestOf(tenant.apiKey, ''), new RecordedClient());
    const [row] = (await stateOf(tenant.id)).rows;
    expect(row).toMatchObject({ status: 'COMMITTED', usageMethod: 'tiktoken' });
    expect(row?.status === 'COMMITTED' && row.amount < parseAmount('0.01')).toBe(true);
  });

  it.each([
    ['a redirect', 307, { location: 'http://elsewhere/' }, '{}'],
    ['a page that is no JSON', 502, { 'content-type': 'text/html' }, '<html>Bad gateway</html>'],
    ['nothing to see', 304, {}, ''],
  ])('by %s is not passed on: it is UPSTREAM_UNAVAILABLE and a void', async (_, status, headers, body) => {
    const client = new RecordedClient();
    const upstreams = answering(status, headers as Record<string, string>, body);
    await parts.pipeline({ upstreams }).serve(requestOf(tenant.apiKey, ''), client);
    expect(client.code).toBe('UPSTREAM_UNAVAILABLE');
    expect((await stateOf(tenant.id)).rows).toMatchObject([{ status: 'VOIDED' }]);
  });
});

describe('a maximum that the client did not set', () => {
  it('is what the balance affords, and upstream is told', async () => {
    const poor = await parts.addTenant('0.01');
    const client = new RecordedClient();
    await parts.pipeline().serve(requestOf(poor.apiKey, 'tokens=9000'), client);
    expect(client.head).toMatchObject({ kind: 'upstream', status: 200 });
    // 4,096 is the model's own maximum, which the balance affords: the body is left alone.
    expect(JSON.parse(parts.simulator.requests.last!.body)).not.toHaveProperty('max_tokens');
    const poorer = await parts.addTenant('0.002');
    const clamped = new RecordedClient();
    await parts.pipeline().serve(requestOf(poorer.apiKey, 'tokens=9000'), clamped);
    const { max_tokens: maximum } = JSON.parse(parts.simulator.requests.last!.body);
    expect(maximum).toBeGreaterThan(900);
    expect(maximum).toBeLessThan(1000);
    const { balance, rows } = await stateOf(poorer.id);
    expect(rows).toMatchObject([{ status: 'COMMITTED', outputTokens: maximum }]);
    expect(balance >= 0n).toBe(true);
  });

  it('is not cut below what makes an answer: then it is refused', async () => {
    const poor = await parts.addTenant('0.0005');
    const client = new RecordedClient();
    await parts.pipeline().serve(requestOf(poor.apiKey, ''), client);
    expect(client.code).toBe('QUOTA_BALANCE_EXCEEDED');
    expect((await stateOf(poor.id)).rows).toEqual([]);
  });
});

it('a prompt longer than the model is priced for is REQUEST_TOO_LARGE and leaves no row', async () => {
  const client = new RecordedClient();
  const messages = [{ role: 'user', content: 'sea '.repeat(2000) }];
  await parts.pipeline().serve(requestOf(tenant.apiKey, '', { messages }), client);
  expect(client.code).toBe('REQUEST_TOO_LARGE');
  expect((await stateOf(tenant.id)).rows).toEqual([]);
});

it('a second gateway life knows the open holds of the first', async () => {
  const { passed, open } = gate();
  const ledger: Ledger = {
    ...parts.ledger,
    commitPending: async (commit) => {
      await passed;
      return await parts.ledger.commitPending(commit);
    },
  };
  const small = await parts.addTenant('0.01');
  const served = parts.pipeline({ ledger }).serve(requestOf(small.apiKey, ''), new RecordedClient());
  await until(async () => (await stateOf(small.id)).open === 1);
  const fresh = parts.pipeline({ hotState: createMemoryHotState({ clock: systemClock }) });
  const client = new RecordedClient();
  await fresh.serve(requestOf(small.apiKey, '', { max_tokens: 4000 }), client);
  expect(client.code).toBe('QUOTA_BALANCE_EXCEEDED');
  open();
  await served;
});
