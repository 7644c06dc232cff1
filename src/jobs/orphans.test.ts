import { beforeEach, describe, expect, it } from 'vitest';
import { type ManualClock, manualClock } from '../../test/support/manual-clock.ts';
import { Fault } from '../domain/errors.ts';
import type { ApiKeyId, InstanceId, TenantId, TraceId, TransactionId } from '../domain/ids.ts';
import { nano } from '../domain/money.ts';
import type { Instances, KnownInstance, Orphan, OrphanSearch } from '../ledger/instances.ts';
import type { CheckpointedClosing } from '../ledger/ledger.ts';
import { createOrphanWatch, type OrphansOptions, type OrphanWatch, type SettledOrphan } from './orphans.ts';

const self = 'self' as InstanceId;
const other = 'other' as InstanceId;

let clock: ManualClock;
let known: Map<InstanceId, KnownInstance>;
let open: Orphan[];
let closed: string[];
let faults: string[];
let searches: OrphanSearch[];
let isAway: boolean;

beforeEach(() => {
  clock = manualClock();
  known = new Map([self, other].map((id) => [id, instanceOf(id)]));
  open = [];
  closed = [];
  faults = [];
  searches = [];
  isAway = false;
});

function instanceOf(id: InstanceId): KnownInstance {
  return { id, host: 'here', pid: 7, place: 'place', beat: '0', hasEnded: false };
}

function beats(id: InstanceId): void {
  const instance = known.get(id)!;
  known.set(id, { ...instance, beat: `${Number(instance.beat) + 1}` });
}

function addOpen(name: string, owner: InstanceId, checkpoint: Orphan['checkpoint'] = 'nothing'): void {
  open.push({
    tenantId: 'tenant' as TenantId,
    transactionId: name as TransactionId,
    apiKeyId: 'key' as ApiKeyId,
    traceId: name as TraceId,
    owner,
    openMs: 1,
    checkpoint,
  });
}

const instances: Instances = {
  beat: async () => 'alive',
  unsettled: async () => {
    if (isAway) throw new Fault('LEDGER_UNAVAILABLE', 'away');
    return [...known.values()];
  },
  end: async (id, beat) => {
    const instance = known.get(id);
    if (instance === undefined || instance.hasEnded || (beat !== null && beat !== instance.beat))
      return false;
    known.set(id, { ...instance, hasEnded: true });
    return true;
  },
  orphans: async (search) => {
    searches.push(search);
    const { owners, allBut, after, limit } = search;
    const found = open
      .filter(({ owner }) => owners.includes(owner) || (allBut !== null && owner !== allBut))
      .sort((a, b) => (a.transactionId < b.transactionId ? -1 : 1));
    return found
      .filter(({ transactionId }) => after === null || transactionId > after.transactionId)
      .slice(0, limit);
  },
  markSettled: async () => undefined,
};

function close(kind: string, { transactionId }: { readonly transactionId: TransactionId }): SettledOrphan {
  if (transactionId.startsWith('bad')) throw new Error('the ledger refuses it');
  if (transactionId.startsWith('closed')) return { wasThere: true };
  open = open.filter((orphan) => orphan.transactionId !== transactionId);
  closed.push(`${kind} ${transactionId}`);
  return { wasThere: false };
}

function watch(changes: Partial<OrphansOptions> = {}): OrphanWatch {
  return createOrphanWatch({
    instances,
    settlements: {
      commit: async (commit) => close(`charge ${commit.amount}`, commit),
      void: async (one) => close('void', one),
      isSettling: () => false,
    },
    self: () => self,
    isProvablyDead: () => false,
    isAlone: false,
    isRunning: () => false,
    clock,
    onSettled: () => undefined,
    onFault: (what) => faults.push(what),
    ...changes,
  });
}

const charged = { amount: nano(7n) } as CheckpointedClosing;

describe('at the start', () => {
  it('settles what processes of this machine left that are gone, to their checkpoints, and nobody else’s', async () => {
    known.set('gone' as InstanceId, instanceOf('gone' as InstanceId));
    addOpen('a', 'gone' as InstanceId, charged);
    addOpen('b', 'gone' as InstanceId);
    addOpen('c', other);
    await watch({ isProvablyDead: ({ id }) => id === 'gone' }).settleDead();
    expect(closed).toEqual(['charge 7 a', 'void b']);
    expect(known.get('gone' as InstanceId)?.hasEnded).toBe(true);
    expect(known.get(other)?.hasEnded).toBe(false);
  });

  it('settles what processes left that had ended before', async () => {
    known.set(other, { ...instanceOf(other), hasEnded: true });
    addOpen('a', other);
    await watch().settleDead();
    expect(closed).toEqual(['void a']);
  });

  it('settles everything where nobody else can be alive, also of those that never said that they lived', async () => {
    addOpen('a', other);
    addOpen('b', 'unheard of' as InstanceId);
    await watch({ isAlone: true }).settleDead();
    expect(closed).toEqual(['void a', 'void b']);
  });
});

describe('while it runs', () => {
  it('settles what a process left that has stopped beating, 30 s later', async () => {
    addOpen('a', other, charged);
    watch().start();
    await clock.advance(30_000);
    expect(closed).toEqual([]);
    await clock.advance(15_000);
    expect(closed).toEqual(['charge 7 a']);
  });

  it('leaves what a process has open that beats, and that beats again in the last moment', async () => {
    addOpen('a', other);
    const late = {
      ...instances,
      end: async (id: InstanceId, beat: string | null) => {
        beats(id);
        return await instances.end(id, beat);
      },
    };
    watch({ instances: late }).start();
    await clock.advance(120_000);
    expect(closed).toEqual([]);
    expect(known.get(other)?.hasEnded).toBe(false);
  });

  it('takes nobody for dead because the ledger was away', async () => {
    addOpen('a', other);
    watch().start();
    await clock.advance(20_000);
    isAway = true;
    await clock.advance(60_000);
    isAway = false;
    await clock.advance(25_000);
    expect(closed).toEqual([]);
    expect(faults).toEqual(['looking for orphans']);
  });

  it('settles at once what a process had sent that arrives after it was ended', async () => {
    known.set(other, { ...instanceOf(other), hasEnded: true });
    watch().start();
    await clock.advance(6_000);
    addOpen('late', other);
    await clock.advance(5_000);
    expect(closed).toEqual(['void late']);
  });

  it('leaves what it is at work on itself, under an instance that was taken for dead', async () => {
    known.set(other, { ...instanceOf(other), hasEnded: true });
    addOpen('mine', other);
    watch({ isRunning: (id) => id === 'mine' }).start();
    await clock.advance(60_000);
    expect(closed).toEqual([]);
  });

  it('goes on behind one that can not be settled, and behind a page', async () => {
    known.set(other, { ...instanceOf(other), hasEnded: true });
    addOpen('bad', other);
    addOpen('newer', other, 'unknown');
    for (let index = 0; index < 250; index++) addOpen(`row-${String(index).padStart(3, '0')}`, other);
    watch().start();
    await clock.advance(6_000);
    expect(closed).toHaveLength(250);
    expect(open.map(({ transactionId }) => transactionId)).toEqual(['bad', 'newer']);
    expect(faults).toHaveLength(2);
  });

  it('tells of each that it has closed itself, and of none that another process was quicker with', async () => {
    known.set(other, { ...instanceOf(other), hasEnded: true });
    addOpen('closed by another', other);
    addOpen('row', other);
    const told: string[] = [];
    await watch({ onSettled: ({ transactionId }) => told.push(transactionId) }).settleDead();
    expect(told).toEqual(['row']);
  });

  it('waits for none that can not be settled yet, neither at the start nor later, and tries it once at a time', async () => {
    known.set(other, { ...instanceOf(other), hasEnded: true });
    addOpen('locked', other);
    addOpen('row', other);
    const tried: string[] = [];
    const watching = watch({
      settlements: {
        commit: async () => ({ wasThere: false }),
        void: async (one) => {
          tried.push(one.transactionId);
          if (one.transactionId === 'locked') await new Promise(() => undefined);
          return close('void', one);
        },
        isSettling: (id) => id === 'locked' && tried.includes(id),
      },
    });
    const settled = watching.settleDead();
    await clock.advance(6_000);
    await settled;
    watching.start();
    await clock.advance(6_000);
    addOpen('another', other);
    await clock.advance(12_000);
    expect(closed).toEqual(['void row', 'void another']);
    expect(tried).toEqual(['locked', 'row', 'another']);
  });

  it('looks every minute for what has expired', async () => {
    watch().start();
    await clock.advance(125_000);
    const expired = searches.filter((search) => search.expired !== null);
    expect(expired).toHaveLength(3);
    expect(expired[0]).toMatchObject({ expired: { self }, owners: [], allBut: null });
  });

  it('looks no more once it is closed', async () => {
    const watching = watch();
    watching.start();
    await watching.close();
    await clock.advance(60_000);
    expect(searches).toEqual([]);
  });
});
