import { describe, expect, it } from 'vitest';
import { losableHotState } from '../../test/support/hot-state.ts';
import { gated, RecordedClient, requestOf, stateOf, until, useParts } from '../../test/support/pipeline.ts';
import { systemClock } from '../domain/clock.ts';
import { createMemoryHotState } from '../hot-state/memory.ts';

// Requests that carry one x-session-id run one at a time.

const given = useParts();

const ask = (sessionId: string) => requestOf(given.tenant.apiKey, '', {}, { 'x-session-id': sessionId });

/** A request that is stopped before its end until it is let go. */
async function startStopped(sessionId: string, sessionWaitMs: number) {
  const { ledger, open } = gated(given.parts.ledger, 'commitPending', 'before');
  const pipeline = given.parts.pipeline({ ledger, sessionWaitMs });
  const served = pipeline.serve(ask(sessionId), new RecordedClient());
  await until(async () => (await stateOf(given.parts, given.tenant.id)).open === 1);
  return {
    pipeline,
    end: async () => {
      open();
      await served;
    },
  };
}

describe('a session', () => {
  it('lets a second request wait until the first has ended', async () => {
    const { pipeline, end } = await startStopped('waits', 30_000);
    const second = new RecordedClient();
    const served = pipeline.serve(ask('waits'), second);
    const other = new RecordedClient();
    const alone = pipeline.serve(ask('another session'), other);
    await until(async () => (await stateOf(given.parts, given.tenant.id)).open === 2);
    expect(second.head).toBeNull();
    await end();
    await Promise.all([served, alone]);
    expect([second.head, other.head]).toMatchObject([{ status: 200 }, { status: 200 }]);
    expect((await stateOf(given.parts, given.tenant.id)).rows).toHaveLength(3);
  });

  it('refuses one that waited too long, which leaves no trace', async () => {
    const { pipeline, end } = await startStopped('busy', 100);
    const second = new RecordedClient();
    await pipeline.serve(ask('busy'), second);
    expect(second.code).toBe('REQUEST_IN_PROGRESS');
    await end();
    expect((await stateOf(given.parts, given.tenant.id)).rows).toHaveLength(1);
  });

  it('is free again after a request that was refused', async () => {
    const pipeline = given.parts.pipeline({ sessionWaitMs: 100 });
    const refused = new RecordedClient();
    const tooDear = requestOf(given.tenant.apiKey, '', { max_tokens: 1e9 }, { 'x-session-id': 's' });
    await pipeline.serve(tooDear, refused);
    expect(refused.code).toBe('QUOTA_BALANCE_EXCEEDED');
    const next = new RecordedClient();
    await pipeline.serve(ask('s'), next);
    expect(next.head).toMatchObject({ status: 200 });
  });

  it('has a name that can be written down', async () => {
    const client = new RecordedClient();
    await given.parts.pipeline().serve(ask('x'.repeat(256)), client);
    expect(client.code).toBe('REQUEST_INVALID');
  });

  it('is not served where hot state is away', async () => {
    const losable = losableHotState(() => createMemoryHotState({ clock: systemClock }));
    losable.goAway();
    const client = new RecordedClient();
    await given.parts.pipeline({ hotState: losable.hotState }).serve(ask('away'), client);
    expect(client.code).toBe('HOT_STATE_UNAVAILABLE');
  });
});
