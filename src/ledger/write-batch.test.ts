import { describe, expect, it } from 'vitest';
import { item, oneLane, recorder } from '../../test/support/recorded-batches.ts';
import { Fault } from '../domain/errors.ts';
import { SqlError } from './drivers/driver.ts';
import { GroupCommit } from './group-commit.ts';

describe('a batch that is refused', () => {
  it('lets poison items fail alone, finds them in few statements and keeps the order of the rest', async () => {
    const poisoned = new Set(['12', '77']);
    const { writer, batches } = recorder({
      fail: (items) => (items.some(({ name }) => poisoned.has(name)) ? new SqlError('no', '22003') : null),
    });
    const group = new GroupCommit({ ...oneLane, maxBatch: 128, maxQueue: 128 });
    const names = Array.from({ length: 128 }, (_, index) => String(index));
    const answers = await Promise.allSettled(names.map((name) => group.submit(writer, item(name))));
    const rejected = names.filter((_, index) => answers[index]!.status === 'rejected');
    expect(rejected).toEqual([...poisoned]);
    const written = batches.filter((batch) => !batch.some((name) => poisoned.has(name)));
    expect(written.flat()).toEqual(names.filter((name) => !poisoned.has(name)));
    // The whole, and two halves on each of the seven levels for each of both.
    expect(batches.length).toBeLessThanOrEqual(1 + 2 * 2 * 7);
  });

  it.each(['40001', '40P01', '23505'])(
    'is tried again as a whole where it was refused with %s',
    async (state) => {
      let failures = 3;
      const { writer, batches } = recorder({
        fail: () => (failures-- > 0 ? new SqlError('again', state) : null),
      });
      const group = new GroupCommit(oneLane);
      await Promise.all(['a', 'b'].map((name) => group.submit(writer, item(name))));
      expect(batches).toEqual(Array(4).fill(['a', 'b']));
    },
  );

  it('gives up on what is refused again and again, and on nothing that shares its batch', async () => {
    const { writer, batches } = recorder({
      fail: (items) => (items.some(({ name }) => name === 'cursed') ? new SqlError('again', '23505') : null),
    });
    const group = new GroupCommit(oneLane);
    const names = ['a', 'b', 'cursed', 'c', 'd', 'e', 'f', 'g'];
    const answers = await Promise.allSettled(names.map((name) => group.submit(writer, item(name))));
    expect(answers.map(({ status }) => status === 'rejected')).toEqual(
      names.map((name) => name === 'cursed'),
    );
    // Only the whole and the last one alone are tried again: a lane isn't held up at every size in between.
    const tries = (size: number) => batches.filter((batch) => batch.length === size).length;
    expect([tries(8), tries(4), tries(2)]).toEqual([11, 2, 2]);
    expect(batches.filter((batch) => batch.join() === 'cursed')).toHaveLength(11);
  });

  it('is rejected as a whole when the engine is away, and what comes when it is back is written', async () => {
    let away = true;
    const { writer, batches } = recorder({
      fail: () => (away ? new Fault('LEDGER_UNAVAILABLE', 'away') : null),
    });
    const group = new GroupCommit(oneLane);
    const answers = await Promise.allSettled(['a', 'b'].map((name) => group.submit(writer, item(name))));
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(batches).toHaveLength(1);
    away = false;
    expect(await group.submit(writer, item('c'))).toBe('wrote c');
  });

  it('finds an item that fails before it gets to the engine, as one that the engine refuses', async () => {
    const { writer } = recorder({
      fail: (batch) =>
        batch.some(({ name }) => name === 'cursed') ? new TypeError('it can not be written down') : null,
    });
    const group = new GroupCommit(oneLane);
    const answers = await Promise.allSettled(
      ['a', 'cursed', 'b'].map((name) => group.submit(writer, item(name))),
    );
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});
