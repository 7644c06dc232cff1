import { beforeEach, describe, expect, it } from 'vitest';
import { RecordedClient, requestOf, stateOf, until, useParts } from '../../test/support/pipeline.ts';
import { systemClock } from '../domain/clock.ts';
import type { InstanceId, TransactionId } from '../domain/ids.ts';
import { nano } from '../domain/money.ts';
import type { Lease } from '../ledger/instances.ts';
import type { Checkpoint, Ledger } from '../ledger/ledger.ts';
import type { PipelineOptions } from './pipeline.ts';

// Streams of a process that may have been taken for dead, or that dies.

const given = useParts();
const slow = 'tokens=60&tokens_per_second=60';

let isValid: boolean;
let isRenewable: boolean;
let client: RecordedClient;

beforeEach(() => {
  isValid = true;
  isRenewable = false;
  client = new RecordedClient();
});

const lease: Lease = {
  owner: 'test' as InstanceId,
  isValid: () => isValid,
  renewed: async () => {
    isValid ||= isRenewable;
    return isValid;
  },
};

function ask(directives: string, body: object, options: Partial<PipelineOptions> = {}) {
  const pipeline = given.parts.pipeline({ lease, ...options });
  const served = pipeline.serve(requestOf(given.tenant.apiKey, directives, body), client);
  return { pipeline, served };
}

const begun = () => until(() => client.text.includes('"content"'));
const row = async () => (await stateOf(given.parts, given.tenant.id)).rows[0];
const outputOf = async () => {
  const transaction = await row();
  return transaction?.status === 'COMMITTED' ? transaction.outputTokens : null;
};

/** As another process does that finds it without its owner: with a charge, or without one. */
async function closedByAnother(amount: bigint | null): Promise<void> {
  const pending = await row();
  if (pending === undefined) throw new Error('nothing is open');
  const { tenantId, traceId, id: transactionId } = pending;
  const record = {
    ...{ outcome: 'gateway_died' as const, stream: true, streamCompleted: false, streamError: null },
    ...{ finishReason: null, latencyMs: 1, timeToFirstByteMs: null },
  };
  if (amount === null) {
    await given.parts.ledger.voidPending({ tenantId, traceId, transactionId, description: 'test', record });
    return;
  }
  await given.parts.ledger.commitPending({
    ...{ tenantId, traceId, transactionId, amount: nano(amount), costAmount: null, provider: null, record },
    metered: { usage: { input: 1 }, method: 'tiktoken' },
    rates: {},
    receipt: {
      ...{ lines: [], aboveInputTokens: null, serviceTier: null, serviceTierIsPriced: true },
      ...{ statedCost: null, reported: null },
    },
  });
}

describe('a stream whose process has lost its lease', () => {
  it('is told so, and charged for what was delivered until then', async () => {
    const { served } = ask(slow, { stream: true });
    await begun();
    isValid = false;
    await served;
    expect(client.text).toContain('"code":"LEDGER_UNAVAILABLE"');
    expect(client.text).not.toContain('[DONE]');
    const transaction = await row();
    expect(transaction).toMatchObject({ status: 'COMMITTED', usageMethod: 'tiktoken' });
    expect(await outputOf()).toBeGreaterThan(0);
    expect(await outputOf()).toBeLessThan(60);
  });

  it('goes on as soon as it has it again', async () => {
    const { served } = ask(slow, { stream: true });
    await begun();
    isRenewable = true;
    isValid = false;
    await served;
    expect(client.text).toContain('[DONE]');
    expect(await outputOf()).toBe(60);
  });

  it('of which nothing was delivered yet is refused, and nothing is charged', async () => {
    isValid = false;
    await ask(slow, { stream: true }).served;
    expect(client.head).toMatchObject({ kind: 'refusal' });
    expect(client.text).not.toContain('content');
    expect(await row()).toMatchObject({ status: 'VOIDED' });
  });
});

describe('a request that another process has closed', () => {
  it('never ends as complete, and what was charged stays', async () => {
    const { served } = ask(slow, { stream: true });
    await begun();
    await closedByAnother(5n);
    await served;
    expect(client.text).toContain('"code":"LEDGER_UNAVAILABLE"');
    expect(client.text).not.toContain('[DONE]');
    expect(await row()).toMatchObject({ status: 'COMMITTED', amount: 5n });
    expect(given.parts.faults.join()).toContain('another process has charged 0.000000005');
    expect(await stateOf(given.parts, given.tenant.id)).toMatchObject({ open: 0, held: 0n });
  });

  it('ends in the middle where a checkpoint finds it closed', async () => {
    const fast = {
      ...systemClock,
      after: (ms: number, work: () => void) => systemClock.after(ms / 20, work),
    };
    const clock = { ...fast, monotonic: () => performance.now() * 20 };
    const { served } = ask('tokens=4000&tokens_per_second=100', { stream: true }, { clock });
    await begun();
    await closedByAnother(5n);
    await served;
    expect(client.text).toContain('"code":"LEDGER_UNAVAILABLE"');
    expect(await row()).toMatchObject({ amount: 5n });
  });

  it('is not handed out where it was voided and is not a stream', async () => {
    const { served } = ask('tokens=20&ttfb_ms=400', {});
    await until(async () => (await row())?.status === 'PENDING');
    await closedByAnother(null);
    await served;
    expect(client.code).toBe('LEDGER_UNAVAILABLE');
    expect(await row()).toMatchObject({ status: 'VOIDED' });
  });
});

describe('checkpoints', () => {
  /** Time goes twenty times as fast. */
  const clock = {
    ...systemClock,
    monotonic: () => performance.now() * 20,
    after: (ms: number, work: () => void) => systemClock.after(ms / 20, work),
  };

  function watched(changes: Partial<Ledger> = {}) {
    const written: { readonly checkpoint: Checkpoint; readonly atMs: number }[] = [];
    const ledger: Ledger = {
      ...given.parts.ledger,
      checkpoint: async (checkpoint) => {
        written.push({ checkpoint, atMs: clock.monotonic() });
        return await given.parts.ledger.checkpoint(checkpoint);
      },
      ...changes,
    };
    return { ledger, written };
  }

  it('are written while it goes on, each with more than the one before, and none with more than there was', async () => {
    const { ledger, written } = watched();
    await ask('tokens=100&tokens_per_second=50', { stream: true }, { clock, ledger }).served;
    expect(client.text).toContain('[DONE]');
    expect(written.length).toBeGreaterThan(2);
    const outputs = written.map(({ checkpoint }) => checkpoint.closing.metered.usage.output ?? 0);
    expect(outputs).toEqual([...outputs].sort((a, b) => a - b));
    expect(outputs.at(-1)).toBeGreaterThan(10);
    expect(outputs.at(-1)).toBeLessThanOrEqual(100);
    for (const { checkpoint } of written) {
      expect(checkpoint.closing).toMatchObject({
        metered: { method: 'tiktoken', usage: { input: expect.any(Number) } },
        record: { outcome: 'gateway_died', stream: true, streamCompleted: false },
      });
      expect(checkpoint.closing.amount).toBeGreaterThan(0n);
    }
  });

  it('are not needed by a stream that is over soon, nor by an answer that is none', async () => {
    const { ledger, written } = watched();
    await ask('tokens=20', { stream: true }, { ledger }).served;
    client = new RecordedClient();
    await ask('tokens=20', {}, { ledger }).served;
    expect(written).toEqual([]);
  });

  it('go on while what a stream costs in the end is still to be covered', async () => {
    const { ledger, written } = watched();
    const covered = Promise.withResolvers<void>();
    const { hotState } = given.parts;
    const slow: Partial<PipelineOptions> = {
      hotState: {
        ...hotState,
        extend: async (extension) => {
          await covered.promise;
          return await hotState.extend(extension);
        },
      },
      overdraft: { streams: true, answers: false },
    };
    // Its reasoning shows only in its final usage.
    const directives = 'tokens=20&reasoning=3000&reasoning_field=hidden';
    const { served } = ask(directives, { stream: true }, { clock, ledger, ...slow });
    await until(() => written.length > 0);
    const output = written[0]?.checkpoint.closing.metered.usage.output ?? 0;
    expect(output).toBeGreaterThan(10);
    expect(output).toBeLessThanOrEqual(20);
    expect(written[0]?.checkpoint.closing.metered.usage.reasoning).toBeUndefined();
    covered.resolve();
    await served;
    expect(client.text).toContain('[DONE]');
  });

  it('of a stream that rests are not written again', async () => {
    const { ledger, written } = watched();
    const { pipeline, served } = ask('tokens=4000&fault=stall&after=20', { stream: true }, { clock, ledger });
    await until(() => written.length === 1);
    // Twenty seconds by its clock.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(written).toHaveLength(1);
    pipeline.cut();
    await served;
    expect(await row()).toMatchObject({ status: 'COMMITTED' });
  });

  it('that can not be written are tried again, said once, and stop nothing', async () => {
    let tries = 0;
    const { ledger } = watched({
      checkpoint: async () => {
        tries++;
        throw new Error('no');
      },
    });
    await ask('tokens=100&tokens_per_second=50', { stream: true }, { clock, ledger }).served;
    expect(client.text).toContain('[DONE]');
    expect(tries).toBeGreaterThan(2);
    expect(given.parts.faults).toEqual(['writing a checkpoint: no']);
  });
});

describe('a process that stops', () => {
  it('tells its streams so, charges what they have had, and knows what it is at work on', async () => {
    const { pipeline, served } = ask('tokens=4000&tokens_per_second=50', { stream: true });
    await begun();
    const id = (await row())?.id as TransactionId;
    expect(pipeline.isRunning(id)).toBe(true);
    pipeline.cut();
    await served;
    expect(client.text).toContain('"code":"OVERLOADED"');
    expect(await row()).toMatchObject({ status: 'COMMITTED' });
    await pipeline.idle();
    expect(pipeline.isRunning(id)).toBe(false);
  });

  it('cuts what a route would read to its end without its client', async () => {
    const { pipeline, served } = ask('tokens=4000&tokens_per_second=50', {});
    await until(async () => (await row())?.status === 'PENDING');
    pipeline.cut();
    await served;
    expect(await row()).toMatchObject({ status: 'VOIDED' });
  });
});
