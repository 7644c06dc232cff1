import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { loadTenant, losableHotState, quotaProjection } from '../../test/support/hot-state.ts';
import { until } from '../../test/support/pipeline.ts';
import { quietObserver } from '../../test/support/quiet-observer.ts';
import { systemClock } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import type { ApiKeyId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import { nano } from '../domain/money.ts';
import type { HotState } from '../hot-state/hot-state.ts';
import { createMemoryHotState } from '../hot-state/memory.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { GrowingHold } from './growing-hold.ts';
import { openHold } from './open-hold.ts';
import type { OpenRequest } from './open-request.ts';
import { createTenantLoader } from './tenant-loader.ts';

// A step costs 10, and 20 are held at first.

const tenantId = 'tenant-1' as TenantId;
const holder = 'transaction-1' as TransactionId;
const request = { apiKeyId: 'api-key-1' as ApiKeyId, tenantId, traceId: 'trace-1' as TraceId, holder };
const periodDay = new Date().toISOString().slice(0, 10);

interface Setting {
  readonly hold: GrowingHold;
  readonly hotState: HotState;
  /** Whole amounts that hot state was asked for. */
  readonly asked: bigint[];
  readonly faults: unknown[];
  held(): Promise<bigint | undefined>;
  goAway(): void;
  comeBack(): void;
  flush(): void;
  /** As the ledger has it; hot state isn't told. */
  setBalance(balance: bigint): void;
}

interface Given {
  readonly balance: bigint;
  readonly mayOverdraw?: boolean;
  readonly isUnbounded?: boolean;
  readonly worst?: bigint;
  /** What hot state's answers to `extend` wait for. */
  readonly before?: () => Promise<void>;
}

async function setUp({
  balance,
  mayOverdraw = true,
  isUnbounded = false,
  worst = 1000n,
  before,
}: Given): Promise<Setting> {
  let projection = quotaProjection({ tenantId, balance: nano(balance) });
  const losable = losableHotState(() => createMemoryHotState({ clock: systemClock }));
  const asked: bigint[] = [];
  const faults: unknown[] = [];
  const hotState: HotState = {
    ...losable.hotState,
    extend: async (extension) => {
      asked.push(extension.holdAmount);
      await before?.();
      return await losable.hotState.extend(extension);
    },
  };
  const openPendings = [
    {
      transactionId: holder,
      apiKeyId: request.apiKeyId,
      traceId: request.traceId,
      holdAmount: nano(20n),
      holdTokens: 0,
      periodDay,
    },
  ];
  const ledger = {
    snapshot: async () => ({ kind: 'snapshot', projection, openPendings }),
  } as unknown as Ledger;
  const tenants = createTenantLoader({ hotState, ledger, clock: systemClock });
  await loadTenant(hotState, { projection, openPendings });
  const open = {
    tenantId,
    traceId: request.traceId,
    transactionId: holder,
    apiKeyId: request.apiKeyId,
    holdAmount: nano(20n),
    holdTokens: 0,
    growth: { mayOverdraw, isUnbounded, worstAmount: nano(worst), stepAmount: nano(10n) },
    periodDay,
  } as unknown as OpenRequest;
  const observer = {
    ...quietObserver,
    fault: (_: string, error: unknown) => faults.push(error),
  };
  return {
    ...losable,
    hotState,
    hold: openHold(open, { hotState, tenants, observer, clock: systemClock }),
    asked,
    faults,
    held: async () => (await losable.hotState.look(tenantId))?.held,
    setBalance: (amount) => {
      projection = { ...projection, version: projection.version + 1, balance: nano(amount) };
    },
  };
}

/** What `cover` comes to, whether it had to wait or not. */
const coverOf = async (hold: GrowingHold, amount: bigint) =>
  (await hold.cover(nano(amount)))?.code ?? 'covered';

describe('a growing hold', () => {
  it('stays a step ahead of what is metered, and does not ask before it has to', async () => {
    const { hold, asked, held } = await setUp({ balance: 1000n });
    hold.follow(nano(8n));
    expect(asked).toEqual([]);
    hold.follow(nano(9n));
    await until(async () => (await held()) === 29n);
    expect(asked).toEqual([29n]);
    expect(hold.comfortableAmount).toBe(24n);
  });

  it('never grows beyond the worst case while no more than that is metered', async () => {
    const { hold, held } = await setUp({ balance: 1000n, worst: 25n });
    hold.follow(nano(15n));
    await until(async () => (await held()) === 25n);
    hold.follow(nano(25n));
    expect(hold.cover(nano(25n))).toBeNull();
    expect(await held()).toBe(25n);
  });

  it('asks once at a time', async () => {
    const gate = Promise.withResolvers<void>();
    const { hold, asked } = await setUp({ balance: 1000n, before: () => gate.promise });
    for (const amount of [10n, 12n, 15n, 19n]) hold.follow(nano(amount));
    expect(asked).toHaveLength(1);
    gate.resolve();
  });

  it('covers a step more than it is where the tenant may overdraw, and nothing more where not', async () => {
    const permitted = await setUp({ balance: 20n });
    expect(permitted.hold.cover(nano(30n))).toBeNull();
    expect(await coverOf(permitted.hold, 31n)).toBe('QUOTA_BALANCE_EXCEEDED');
    const forbidden = await setUp({ balance: 20n, mayOverdraw: false });
    expect(forbidden.hold.cover(nano(20n))).toBeNull();
    expect(await coverOf(forbidden.hold, 21n)).toBe('QUOTA_BALANCE_EXCEEDED');
    expect(await forbidden.held()).toBe(20n);
  });
});

describe('hot state that denies', () => {
  it('gives what is left where that is enough', async () => {
    const { hold, held } = await setUp({ balance: 24n, mayOverdraw: false });
    expect(await coverOf(hold, 23n)).toBe('covered');
    expect(await held()).toBe(24n);
    expect(await coverOf(hold, 25n)).toBe('QUOTA_BALANCE_EXCEEDED');
  });

  it('does not deny for want of a top-up that it never heard of', async () => {
    const { hold, setBalance } = await setUp({ balance: 20n, mayOverdraw: false });
    setBalance(500n);
    expect(await coverOf(hold, 100n)).toBe('covered');
  });

  it('is not asked again by every event that follows', async () => {
    const { hold, asked } = await setUp({ balance: 20n });
    hold.follow(nano(18n));
    await until(() => asked.length === 1);
    await sleep(20);
    const before = asked.length;
    for (let event = 0; event < 50; event++) hold.follow(nano(19n));
    expect(asked.length).toBe(before);
  });
});

describe('hot state that is away', () => {
  it('does not stop a stream within its step, and is asked again', async () => {
    const { hold, held, goAway, comeBack, faults } = await setUp({ balance: 1000n });
    goAway();
    hold.follow(nano(19n));
    await until(() => faults.length === 1);
    expect(hold.cover(nano(30n))).toBeNull();
    comeBack();
    await until(async () => {
      hold.follow(nano(25n));
      return (await held()) === 45n;
    });
  });

  it('is waited for where a stream can not go on without it', async () => {
    const { hold, goAway, comeBack, faults } = await setUp({ balance: 1000n, mayOverdraw: false });
    goAway();
    const covered = coverOf(hold, 40n);
    await until(() => faults.length === 1);
    comeBack();
    expect(await covered).toBe('covered');
  });

  it('ends a stream with its own code where it stays away', async () => {
    const { hold, goAway, faults } = await setUp({ balance: 1000n });
    goAway();
    expect(await coverOf(hold, 31n)).toBe('HOT_STATE_UNAVAILABLE');
    expect(faults).toMatchObject([new Fault('HOT_STATE_UNAVAILABLE', 'away')]);
  });
});

describe('hot state that is slow', () => {
  it('holds up nothing that is covered', async () => {
    const gate = Promise.withResolvers<void>();
    const { hold } = await setUp({ balance: 1000n, before: () => gate.promise });
    hold.follow(nano(19n));
    expect(hold.cover(nano(30n))).toBeNull();
    const beyond = coverOf(hold, 31n);
    gate.resolve();
    expect(await beyond).toBe('covered');
  });

  it('ends a stream in bounded time where it never answers', async () => {
    const { hold } = await setUp({ balance: 1000n, before: () => new Promise(() => undefined) });
    expect(await coverOf(hold, 31n)).toBe('HOT_STATE_UNAVAILABLE');
  });
});

describe('hot state that was lost', () => {
  it('is loaded, and has the whole hold again', async () => {
    const { hold, flush, held } = await setUp({ balance: 1000n });
    flush();
    expect(await coverOf(hold, 100n)).toBe('covered');
    expect(await held()).toBe(120n);
  });

  it('covers whatever an observed tenant is charged, and holds what there is', async () => {
    const { hold } = await setUp({ balance: 30n, isUnbounded: true });
    expect(await coverOf(hold, 1_000n)).toBe('covered');
  });

  it('does not give a request more that was closed meanwhile', async () => {
    const { hold, hotState } = await setUp({ balance: 1000n });
    await hotState.release(request);
    expect(await coverOf(hold, 100n)).toBe('HOT_STATE_UNAVAILABLE');
  });
});
