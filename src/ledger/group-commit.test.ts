import { describe, expect, it } from 'vitest';
import { manualClock } from '../../test/support/manual-clock.ts';
import { type Item, item, oneLane, recorder } from '../../test/support/recorded-batches.ts';
import { sleep, systemClock } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { WrittenBatch } from '../observability/observer.ts';
import { SqlError } from './drivers/driver.ts';
import { GroupCommit } from './group-commit.ts';
import type { BatchWriter } from './lane.ts';

/** One tenant of each lane. */
function tenantsOfLanes(lanes: number): readonly string[] {
  // A name of one letter is in the lane of the letter's code.
  return Array.from({ length: lanes }, (_, index) => String.fromCharCode('a'.charCodeAt(0) + index));
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('a group commit', () => {
  it('writes alone what comes alone, at once', async () => {
    const { writer, batches } = recorder();
    expect(await new GroupCommit(oneLane).submit(writer, item('a'))).toBe('wrote a');
    expect(batches).toEqual([['a']]);
  });

  it('gathers what comes while a batch is being written, in order', async () => {
    const { writer, batches, hold, release } = recorder();
    const group = new GroupCommit(oneLane);
    hold();
    const answers = [group.submit(writer, item('first'))];
    await settle();
    for (const name of ['a', 'b', 'c']) answers.push(group.submit(writer, item(name)));
    await settle();
    expect(batches).toEqual([['first']]);
    release();
    expect(await Promise.all(answers)).toEqual(['wrote first', 'wrote a', 'wrote b', 'wrote c']);
    expect(batches).toEqual([['first'], ['a', 'b', 'c']]);
  });

  it('never puts two items of one identity into one batch', async () => {
    const { writer, batches } = recorder();
    const group = new GroupCommit(oneLane);
    await Promise.all(['a', 'b', 'a', 'c', 'a'].map((name) => group.submit(writer, item(name))));
    expect(batches).toEqual([['a', 'b', 'c'], ['a'], ['a']]);
    await group.submit(writer, item('a'));
    expect(batches).toHaveLength(4);
  });

  it('writes what closes an identity after what opens it, whatever else is ready', async () => {
    const opening = recorder();
    const closing = recorder({ refusedWhenFull: false });
    const group = new GroupCommit({ ...oneLane, maxBatch: 1 });
    const answered: string[] = [];
    const opened = ['a', 'b'].map((name) =>
      group.submit(opening.writer, item(name)).then(() => answered.push(`opened ${name}`)),
    );
    const closed = ['b', 'a'].map((name) =>
      group.submit(closing.writer, item(name)).then(() => answered.push(`closed ${name}`)),
    );
    await Promise.all([...opened, ...closed]);
    expect(answered).toEqual(['opened a', 'closed a', 'opened b', 'closed b']);
  });

  it('writes a closing after the batch in flight, however many new transactions wait', async () => {
    const batches: string[][] = [];
    const opening = recorder({ batches });
    const closing = recorder({ batches, refusedWhenFull: false });
    const group = new GroupCommit({ ...oneLane, maxBatch: 2 });
    opening.hold();
    const flood = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => group.submit(opening.writer, item(name)));
    await settle();
    const closed = ['x', 'y', 'z'].map((name) => group.submit(closing.writer, item(name)));
    opening.release();
    await Promise.all([...flood, ...closed]);
    expect(batches).toEqual([['a', 'b'], ['x', 'y'], ['c', 'd'], ['z'], ['e', 'f']]);
  });

  it('writes new transactions in their turn, however long closings keep coming', async () => {
    const batches: string[][] = [];
    const opening = recorder({ batches });
    const closing = recorder({ batches, refusedWhenFull: false });
    const group = new GroupCommit({ ...oneLane, maxBatch: 2 });
    closing.hold();
    const flood = ['u', 'v', 'w', 'x', 'y', 'z'].map((name) => group.submit(closing.writer, item(name)));
    await settle();
    const opened = group.submit(opening.writer, item('a'));
    closing.release();
    await Promise.all([...flood, opened]);
    expect(batches).toEqual([['u', 'v'], ['a'], ['w', 'x'], ['y', 'z']]);
  });

  it('gathers what comes while a batch is being written, of whatever lane', async () => {
    const { writer, batches, hold, release } = recorder();
    const group = new GroupCommit({ ...oneLane, lanes: 4 });
    hold();
    const answers = [group.submit(writer, item('first', 'tenant-0'))];
    await settle();
    const others = Array.from({ length: 16 }, (_, index) => `tenant-${index}`);
    for (const tenant of others) answers.push(group.submit(writer, item(tenant, tenant)));
    await settle();
    expect(batches).toEqual([['first']]);
    release();
    await Promise.all(answers);
    expect(batches.map((batch) => batch.toSorted())).toEqual([['first'], others.toSorted()]);
  });

  it('begins a batch beside another where what waits fills it, and has no tenant in two', async () => {
    const { writer, batches, hold, release } = recorder();
    const group = new GroupCommit({ ...oneLane, lanes: 4 });
    const [hot = '', ...others] = tenantsOfLanes(4);
    const hotOnes = Array.from({ length: 100 }, (_, index) => `hot ${index}`);
    hold();
    const answers = [group.submit(writer, item('first', hot))];
    await settle();
    for (const name of hotOnes) answers.push(group.submit(writer, item(name, hot)));
    for (let index = 0; index < 63; index++)
      answers.push(group.submit(writer, item(`other ${index}`, others[index % 3])));
    await settle();
    expect(batches).toEqual([['first']]);
    answers.push(group.submit(writer, item('other 63', others[0])));
    await settle();
    expect(batches.map(({ length }) => length)).toEqual([1, 64]);
    release();
    await Promise.all(answers);
    expect(batches.flat().filter((name) => !name.startsWith('other'))).toEqual(['first', ...hotOnes]);
  });

  it('begins a batch of other lanes beside one that is slow, and again beside those that are', async () => {
    const clock = manualClock();
    const { writer, batches, hold, release } = recorder();
    const group = new GroupCommit({ ...oneLane, lanes: 4, clock });
    const [slow = '', ...others] = tenantsOfLanes(4);
    hold();
    const answers = [group.submit(writer, item('slow', slow))];
    await clock.advance(4);
    for (const tenant of [slow, ...others.slice(0, 2)]) answers.push(group.submit(writer, item('x', tenant)));
    await clock.advance(5);
    expect(batches).toEqual([['slow']]);
    await clock.advance(1);
    expect(batches).toEqual([['slow'], ['x', 'x']]);
    answers.push(group.submit(writer, item('y', others[2])));
    await clock.advance(9);
    expect(batches).toHaveLength(2);
    await clock.advance(1);
    expect(batches).toEqual([['slow'], ['x', 'x'], ['y']]);
    release();
    await Promise.all(answers);
    expect(batches).toEqual([['slow'], ['x', 'x'], ['y'], ['x']]);
  });

  it('gives each lane that has enough a batch of its own', async () => {
    const { writer, batches } = recorder();
    const group = new GroupCommit({ ...oneLane, lanes: 4, maxBatch: 1_000 });
    const tenants = tenantsOfLanes(4);
    const counts = [70, 60, 3, 64];
    await Promise.all(
      tenants.flatMap((tenant, lane) =>
        Array.from({ length: counts[lane] ?? 0 }, (_, index) =>
          group.submit(writer, item(`${tenant} ${index}`, tenant)),
        ),
      ),
    );
    const lanesOf = (batch: readonly string[]) => [...new Set(batch.map((name) => name.charAt(0)))].sort();
    expect(batches.map(lanesOf).sort()).toEqual([['a'], ['b', 'c'], ['d']]);
  });

  it.each(['of its kind', 'of another kind'])(
    'keeps no lane waiting for long beside lanes that always have enough %s',
    async (what) => {
      const clock = manualClock();
      let isOver = false;
      const kind = (): BatchWriter<Item, null> => ({
        ...recorder().writer,
        write: async (items) => {
          await sleep(clock, 5);
          return items.map(() => null);
        },
      });
      const [opening, closing] = [kind(), kind()];
      const group = new GroupCommit({ ...oneLane, lanes: 4, clock });
      const [one = '', other = '', third = ''] = tenantsOfLanes(4);
      let asked = 0;
      const askOnAndOn = async (tenant: string) => {
        while (!isOver) await group.submit(opening, item(`${asked++}`, tenant));
      };
      const flood = Array.from({ length: 90 }, () => askOnAndOn(one));
      await clock.advance(2);
      flood.push(...Array.from({ length: 90 }, () => askOnAndOn(other)));
      await clock.advance(100);
      const fromMs = clock.monotonic();
      const tookMs = group
        .submit(what === 'of its kind' ? opening : closing, item('lone', third))
        .then(() => clock.monotonic() - fromMs);
      await clock.advance(100);
      isOver = true;
      await clock.advance(100);
      await Promise.all(flood);
      expect(await tookMs).toBeLessThanOrEqual(10 + 5 + 5);
    },
  );

  it('waits no longer for what is found out about a batch that was refused than for a slow one', async () => {
    const clock = manualClock();
    const batches: string[][] = [];
    const [refused = '', other = ''] = tenantsOfLanes(4);
    const writer: BatchWriter<Item, null> = {
      ...recorder().writer,
      write: async (items) => {
        batches.push(items.map(({ name }) => name));
        await sleep(clock, 4);
        if (items.some(({ name }) => name === 'poison')) throw new SqlError('no', '22003');
        return items.map(() => null);
      },
    };
    const group = new GroupCommit({ ...oneLane, lanes: 4, clock });
    const submit = (name: string, tenant: string) =>
      group.submit(writer, item(name, tenant)).catch(() => null);
    const answers = ['a', 'b', 'c', 'd', 'e', 'f', 'poison', 'g'].map((name) => submit(name, refused));
    await clock.advance(1);
    answers.push(submit('lone', other));
    await clock.advance(8);
    expect(batches.flat()).not.toContain('lone');
    await clock.advance(1);
    expect(batches.at(-1)).toEqual(['lone']);
    await clock.advance(100);
    await Promise.all(answers);
  });

  it('serves the other lanes of a batch that a locked row holds up, and keeps that lane apart for a while', async () => {
    const clock = manualClock();
    const [locked = '', ...others] = tenantsOfLanes(4);
    const lockTimeout = new Fault('LEDGER_UNAVAILABLE', 'locked', { cause: new SqlError('locked', '55P03') });
    let isLocked = true;
    const batches: string[][] = [];
    const { writer } = recorder();
    const tenantBatches = {
      ...writer,
      write: async (items: readonly Item[]) => {
        const tenants = items.map(({ tenantId }) => tenantId);
        batches.push(tenants);
        if (!isLocked || !tenants.includes(locked as TenantId)) return items.map(() => 'written');
        await sleep(clock, 2_000);
        throw lockTimeout;
      },
    };
    const group = new GroupCommit({ ...oneLane, lanes: 4, clock });
    const told: string[] = [];
    const submit = (name: string, tenant: string) =>
      group.submit(tenantBatches, item(name, tenant)).then(
        () => told.push(`${tenant} written`),
        () => told.push(`${tenant} refused`),
      );
    const all = [locked, ...others].map((tenant) => submit('a', tenant));
    await clock.advance(2_000);
    expect(told.toSorted()).toEqual(others.map((tenant) => `${tenant} written`).toSorted());
    await clock.advance(2_000);
    expect(told.at(-1)).toBe(`${locked} refused`);
    await Promise.all(all);
    batches.length = 0;
    const apart = [locked, ...others].map((tenant) => submit('b', tenant));
    await clock.advance(1);
    expect(batches.map((batch) => batch.toSorted()).toSorted()).toEqual([[locked], others.toSorted()]);
    await clock.advance(2_000);
    batches.length = 0;
    apart.push(submit('b', locked));
    await clock.advance(1);
    apart.push(...others.map((tenant) => submit('b', tenant)));
    await clock.advance(1);
    expect(batches.map((batch) => batch.toSorted())).toEqual([[locked], others.toSorted()]);
    isLocked = false;
    await clock.advance(12_000);
    await Promise.all(apart);
    batches.length = 0;
    const afterwards = [locked, ...others].map((tenant) => submit('c', tenant));
    await clock.advance(1);
    await Promise.all(afterwards);
    expect(batches.map((batch) => batch.toSorted())).toEqual([[locked, ...others].toSorted()]);
  });

  it('never has two kinds of command in one batch', async () => {
    const [opening, closing] = [recorder(), recorder()];
    const group = new GroupCommit({ ...oneLane, lanes: 4 });
    const [one = '', other = '', third = ''] = tenantsOfLanes(4);
    await Promise.all([
      group.submit(opening.writer, item('a', one)),
      group.submit(closing.writer, item('x', other)),
      group.submit(opening.writer, item('b', third)),
      group.submit(closing.writer, item('y', third)),
    ]);
    expect(opening.batches).toEqual([['a', 'b']]);
    expect(closing.batches.flat().sort()).toEqual(['x', 'y']);
  });

  it('gives every lane its turn, whatever kind of command it waits to have written', async () => {
    const batches: string[][] = [];
    const opening = recorder({ batches });
    const closing = recorder({ batches, refusedWhenFull: false });
    const group = new GroupCommit({ ...oneLane, lanes: 2, maxBatch: 2 });
    const [one, other] = tenantsOfLanes(2);
    opening.hold();
    const flood = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => group.submit(opening.writer, item(name, one)));
    await settle();
    const closed = group.submit(closing.writer, item('x', other));
    opening.release();
    await Promise.all([...flood, closed]);
    expect(batches).toEqual([['a', 'b'], ['x'], ['c', 'd'], ['e', 'f']]);
  });

  it('has 64 tenants in a batch at the most, and of each as much as there is', async () => {
    const { writer, batches } = recorder();
    const group = new GroupCommit({ ...oneLane, maxBatch: 1_000, maxQueue: 1_000 });
    const tenants = Array.from({ length: 100 }, (_, index) => `tenant-${index}`);
    const items = tenants.flatMap((tenantId) =>
      ['x', 'y'].map((name) => item(`${tenantId} ${name}`, tenantId)),
    );
    await Promise.all(items.map((one) => group.submit(writer, one)));
    expect(batches.map(({ length }) => length)).toEqual([128, 72]);
  });

  it('cuts batches at their bound', async () => {
    const { writer, batches } = recorder();
    const group = new GroupCommit({ ...oneLane, maxBatch: 2 });
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => group.submit(writer, item(name))));
    expect(batches.map((batch) => batch.length)).toEqual([2, 2, 1]);
  });

  it('refuses what may be refused when the queue is full, and nothing else', async () => {
    const opening = recorder();
    const closing = recorder({ refusedWhenFull: false });
    const group = new GroupCommit({ ...oneLane, maxQueue: 2 });
    opening.hold();
    const first = group.submit(opening.writer, item('first'));
    await settle();
    const waiting = ['a', 'b'].map((name) => group.submit(opening.writer, item(name)));
    await expect(group.submit(opening.writer, item('c'))).rejects.toMatchObject({ code: 'OVERLOADED' });
    const close = group.submit(closing.writer, item('close'));
    opening.release();
    expect(await close).toBe('wrote close');
    await Promise.all([first, ...waiting]);
    expect(await group.submit(opening.writer, item('d'))).toBe('wrote d');
  });

  it('tells of each batch its size, its waits and what has come since', async () => {
    const told: WrittenBatch[] = [];
    let nowMs = 0;
    const clock = { ...systemClock, now: () => 0, monotonic: () => nowMs };
    const { writer, hold, release } = recorder();
    const group = new GroupCommit({ ...oneLane, clock, onBatch: (batch) => told.push(batch) });
    hold();
    const first = group.submit(writer, item('first'));
    await settle();
    nowMs = 3;
    const second = group.submit(writer, item('a'));
    nowMs = 5;
    const third = group.submit(writer, item('b'));
    nowMs = 10;
    release();
    await Promise.all([first, second, third]);
    await settle();
    expect(told).toEqual([
      { size: 1, failed: 0, waitedMs: 0, writeMs: 10, queueLength: 2 },
      { size: 2, failed: 0, waitedMs: 7, writeMs: 0, queueLength: 0 },
    ]);
  });

  it('tells how many of a batch failed, for their own sake or since the engine was away', async () => {
    const told: WrittenBatch[] = [];
    let failure: Error | null = new SqlError('no', '22003');
    const { writer } = recorder({
      fail: (items) => (items.some(({ name }) => name === 'poison') ? failure : null),
    });
    const group = new GroupCommit({ ...oneLane, onBatch: (batch) => told.push(batch) });
    const submit = () =>
      Promise.allSettled(['a', 'poison', 'b'].map((name) => group.submit(writer, item(name))));
    await submit();
    failure = new Fault('LEDGER_UNAVAILABLE', 'away');
    await submit();
    await settle();
    expect(told.map(({ size, failed }) => ({ size, failed }))).toEqual([
      { size: 3, failed: 1 },
      { size: 3, failed: 3 },
    ]);
  });

  it('goes on writing when who watches it throws', async () => {
    const { writer } = recorder();
    const onBatch = () => {
      throw new Error('the watcher broke');
    };
    const group = new GroupCommit({ ...oneLane, onBatch });
    expect(await group.submit(writer, item('a'))).toBe('wrote a');
    expect(await group.submit(writer, item('b'))).toBe('wrote b');
  });
});
