import { sleep, type Timers } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import { isLockTimeout, SqlError } from './drivers/driver.ts';
import type { Waiting, Writer } from './lane.ts';

/**
 * Serialization failure, deadlock, and a unique key that another process took in this very moment:
 * nothing was written, and the same again may well succeed.
 */
const transientStates = new Set(['40001', '40P01', '23505']);
const maxTransientRetries = 10;

/**
 * Answers all of them, or none. What is refused for another's sake is tried again.
 * @returns why none was written; null where all were
 */
export async function writeTogether(
  writer: Writer,
  group: readonly Waiting[],
  clock: Timers,
  retries = maxTransientRetries,
): Promise<{ readonly error: unknown } | null> {
  try {
    const results = await writeRetrying(writer, group, clock, retries);
    for (const [index, waiting] of group.entries()) waiting.resolve(results[index]);
    return null;
  } catch (error) {
    return { error };
  }
}

/**
 * Of those that can't be written together, answers each that can be by itself or with others, and tells the rest why
 * not.
 * @param error why they can't
 * @returns how many were written
 */
export async function writeApart(
  writer: Writer,
  group: readonly Waiting[],
  error: unknown,
  clock: Timers,
): Promise<number> {
  if (isLockTimeout(error)) return await writeByTenant(writer, group, error, clock);
  // What says that the ledger is away says so of every item.
  if (!(error instanceof Fault) && group.length > 1) return await writeHalves(writer, group, clock);
  for (const waiting of group) waiting.reject(error);
  return 0;
}

async function writeRetrying(
  writer: Writer,
  group: readonly Waiting[],
  clock: Timers,
  retries: number,
): Promise<readonly unknown[]> {
  const items = group.map((waiting) => waiting.item);
  for (let attempt = 1; ; attempt++) {
    try {
      return await writer.write(items);
    } catch (error) {
      const transient = error instanceof SqlError && transientStates.has(error.sqlState);
      if (!transient || attempt > retries) throw error;
      await sleep(clock, attempt);
    }
  }
}

/** One tenant's row is locked: the others don't wait for it. */
async function writeByTenant(
  writer: Writer,
  group: readonly Waiting[],
  error: unknown,
  clock: Timers,
): Promise<number> {
  const byTenant = Map.groupBy(group, ({ item }) => writer.tenantOf(item));
  let written = 0;
  if (byTenant.size === 1) for (const waiting of group) waiting.reject(error);
  else for (const ofOne of byTenant.values()) written += await writePart(writer, ofOne, clock, 0);
  return written;
}

/**
 * The engine refused the statement for one item's sake: halves find it in few statements. What was tried
 * again as a whole isn't in every half; each item has all its tries once it is alone.
 */
async function writeHalves(writer: Writer, group: readonly Waiting[], clock: Timers): Promise<number> {
  const middle = Math.ceil(group.length / 2);
  let written = 0;
  for (const half of [group.slice(0, middle), group.slice(middle)])
    written += await writePart(writer, half, clock, half.length === 1 ? maxTransientRetries : 0);
  return written;
}

/** @returns how many were written; the others are told why they weren't. */
async function writePart(
  writer: Writer,
  group: readonly Waiting[],
  clock: Timers,
  retries: number,
): Promise<number> {
  const failure = await writeTogether(writer, group, clock, retries);
  return failure === null ? group.length : await writeApart(writer, group, failure.error, clock);
}
