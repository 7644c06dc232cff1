import { describe, expect, it } from 'vitest';
import type { TenantId } from '../domain/ids.ts';
import { SqlError } from './drivers/driver.ts';
import { type BatchWriter, GroupCommit } from './group-commit.ts';

interface Item {
  readonly tenantId: TenantId;
  readonly name: string;
}

const item = (name: string, tenant = 'one'): Item => ({ tenantId: tenant as TenantId, name });

/** Records what it is given, and writes when the test says so. */
function recorder(
  options: { fail?: (items: readonly Item[]) => Error | null; refusedWhenFull?: boolean } = {},
) {
  const batches: string[][] = [];
  const gates: (() => void)[] = [];
  let held = false;
  const writer: BatchWriter<Item, string> = {
    tenantOf: ({ tenantId }) => tenantId,
    identityOf: ({ name }) => name,
    refusedWhenFull: options.refusedWhenFull ?? true,
    write: async (items) => {
      batches.push(items.map(({ name }) => name));
      if (held) await new Promise<void>((resolve) => gates.push(resolve));
      const failure = options.fail?.(items) ?? null;
      if (failure !== null) throw failure;
      return items.map(({ name }) => `wrote ${name}`);
    },
  };
  return {
    writer,
    batches,
    hold: () => {
      held = true;
    },
    release: () => {
      held = false;
      for (const open of gates.splice(0)) open();
    },
  };
}

const oneLane = { lanes: 1, maxBatch: 100, maxQueue: 100 };
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
  });

  it('keeps a tenant in one lane, whose batches follow one another', async () => {
    const { writer, batches, hold, release } = recorder();
    const group = new GroupCommit({ ...oneLane, lanes: 8 });
    hold();
    const answers = Array.from({ length: 16 }, (_, index) =>
      group.submit(writer, item('x', `tenant-${index}`)),
    );
    answers.push(group.submit(writer, item('late', 'tenant-0')));
    await settle();
    const tenantsInFlight = batches.length;
    expect(tenantsInFlight).toBeGreaterThan(1);
    expect(tenantsInFlight).toBeLessThanOrEqual(8);
    release();
    await Promise.all(answers);
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

  it('lets a poison item fail alone', async () => {
    const poison = (items: readonly Item[]) =>
      items.some(({ name }) => name === 'poison') ? new SqlError('no', '22003') : null;
    const { writer } = recorder({ fail: poison });
    const group = new GroupCommit(oneLane);
    const answers = await Promise.allSettled(
      ['a', 'poison', 'b'].map((name) => group.submit(writer, item(name))),
    );
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it.each(['40001', '40P01', '23505'])('tries a batch again that was refused with %s', async (state) => {
    let failures = 3;
    const { writer, batches } = recorder({
      fail: () => (failures-- > 0 ? new SqlError('again', state) : null),
    });
    const group = new GroupCommit(oneLane);
    await Promise.all(['a', 'b'].map((name) => group.submit(writer, item(name))));
    expect(batches).toEqual(Array(4).fill(['a', 'b']));
  });

  it('rejects a whole batch when the engine is away, and goes on when it is back', async () => {
    let away = true;
    const { writer, batches } = recorder({ fail: () => (away ? new Error('away') : null) });
    const group = new GroupCommit(oneLane);
    const answers = await Promise.allSettled(['a', 'b'].map((name) => group.submit(writer, item(name))));
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(batches).toHaveLength(1);
    away = false;
    expect(await group.submit(writer, item('c'))).toBe('wrote c');
  });
});
