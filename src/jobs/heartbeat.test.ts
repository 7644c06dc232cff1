import { beforeEach, describe, expect, it } from 'vitest';
import { type ManualClock, manualClock } from '../../test/support/manual-clock.ts';
import { Fault } from '../domain/errors.ts';
import type { InstanceId } from '../domain/ids.ts';
import { goneAfterMs, type Heartbeat, leaseMs, startHeartbeat } from './heartbeat.ts';

let clock: ManualClock;
let beats: { id: InstanceId; atMs: number }[];
let ended: Set<InstanceId>;
let isAway: boolean;
let isAlone: boolean;
let answersAfterMs: number;
let faults: string[];

beforeEach(() => {
  clock = manualClock();
  beats = [];
  ended = new Set();
  isAway = false;
  isAlone = false;
  answersAfterMs = 0;
  faults = [];
});

/** Of a ledger in memory. */
async function start(): Promise<Heartbeat> {
  let ids = 0;
  return await startHeartbeat({
    instances: {
      beat: async ({ id }) => {
        if (answersAfterMs > 0)
          await new Promise<void>((resolve) => void clock.after(answersAfterMs, resolve));
        if (isAway) throw new Fault('LEDGER_UNAVAILABLE', 'away');
        if (ended.has(id)) return 'ended';
        beats.push({ id, atMs: clock.monotonic() });
        return 'alive';
      },
      end: async (id) => ended.size < ended.add(id).size,
    },
    process: { host: 'here', pid: 7, place: 'place' },
    newId: () => `instance-${++ids}`,
    isAlone,
    clock,
    onFault: (what) => faults.push(what),
  });
}

describe('the lease', () => {
  it('is valid from the first heartbeat on, and as long as they go on', async () => {
    const heartbeat = await start();
    for (let second = 0; second < 120; second++) {
      expect(heartbeat.isValid(heartbeat.owner)).toBe(true);
      await clock.advance(1_000);
    }
    expect(beats.length).toBeGreaterThanOrEqual(20);
    expect(faults).toEqual([]);
  });

  it('runs out before anybody else may take the process for dead', async () => {
    expect(leaseMs).toBeLessThan(goneAfterMs);
    const heartbeat = await start();
    isAway = true;
    await clock.advance(leaseMs - 1);
    expect(heartbeat.isValid(heartbeat.owner)).toBe(true);
    await clock.advance(1);
    expect(heartbeat.isValid(heartbeat.owner)).toBe(false);
    expect(faults).toEqual(['saying that this process lives']);
  });

  it('never runs out where nobody else can settle anything', async () => {
    isAlone = true;
    const heartbeat = await start();
    isAway = true;
    await clock.advance(600_000);
    expect(heartbeat.isValid(heartbeat.owner)).toBe(true);
  });

  it('counts from before the heartbeat was sent, not from when it was answered', async () => {
    const heartbeat = await start();
    answersAfterMs = 4_000;
    await clock.advance(9_000);
    isAway = true;
    expect(beats.at(-1)?.atMs).toBe(9_000);
    await clock.advance(5_000 + leaseMs - 9_000 - 1);
    expect(heartbeat.isValid(heartbeat.owner)).toBe(true);
    await clock.advance(1);
    expect(heartbeat.isValid(heartbeat.owner)).toBe(false);
  });

  it('is renewed for whoever waits, as soon as the ledger is back', async () => {
    const heartbeat = await start();
    isAway = true;
    await clock.advance(60_000);
    const renewed = heartbeat.renewed(heartbeat.owner, 3_000);
    await clock.advance(1_000);
    isAway = false;
    isAlone = false;
    await clock.advance(500);
    expect(await renewed).toBe(true);
  });

  it('is waited for no longer than that', async () => {
    const heartbeat = await start();
    isAway = true;
    await clock.advance(60_000);
    const renewed = heartbeat.renewed(heartbeat.owner, 3_000);
    await clock.advance(3_500);
    expect(await renewed).toBe(false);
  });
});

describe('a process that was taken for dead', () => {
  it('has lost what it had open, and goes on as another instance', async () => {
    const heartbeat = await start();
    const first = heartbeat.owner;
    ended.add(first);
    await clock.advance(5_000);
    expect(heartbeat.owner).not.toBe(first);
    expect(heartbeat.isValid(first)).toBe(false);
    expect(await heartbeat.renewed(first, 3_000)).toBe(false);
    expect(heartbeat.isValid(heartbeat.owner)).toBe(true);
    expect(faults).toEqual(['keeping the lease']);
  });
});

describe('a process that ends', () => {
  it('says so, has no lease any more, and beats no more', async () => {
    const heartbeat = await start();
    await heartbeat.close();
    expect(ended).toEqual(new Set([heartbeat.owner]));
    expect(heartbeat.isValid(heartbeat.owner)).toBe(false);
    const before = beats.length;
    await clock.advance(60_000);
    expect(beats).toHaveLength(before);
  });
});
