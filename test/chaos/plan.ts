import type { Draws } from './draws.ts';
import type { FaultKind } from './records.ts';

/** A fault that is to be done. Where its target is down already, the next one that isn't takes its place. */
export interface Step {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly gateway: number;
  /** Down, stopped or silent for so long. */
  readonly lastsMs: number;
}

export interface PlanOptions {
  readonly lastsMs: number;
  readonly killsPerMinute: number;
  /** Whether gateways are stopped for longer than it takes to be thought dead. */
  readonly stopsLong: boolean;
  /** Faults that are left out, to see which of them a finding needs. */
  readonly without: ReadonlySet<FaultKind>;
}

const minuteMs = 60_000;
/** Time to begin some streams before the first fault, and to be whole again after the last one. */
const quietMs = 3_000;
const othersPerMinute = 9;

const kills: readonly FaultKind[] = [
  ...Array<FaultKind>(4).fill('kill_gateway'),
  'kill_redis',
  'kill_postgres',
];
const others: readonly FaultKind[] = [
  'stop_gateway',
  'stop_gateway',
  'stop_redis',
  'stop_postgres',
  'flush_redis',
  'flush_redis',
  'cut_redis',
  'cut_postgres',
  'lose_reply_of_redis',
  'lose_reply_of_postgres',
  'lose_reply_of_postgres',
  'silence_redis',
  'silence_postgres',
];

/** Kills evenly over the time but for some chance, so that there are as many as were asked for; the rest anywhere. */
export function planFaults(draws: Draws, options: PlanOptions): readonly Step[] {
  const { lastsMs, killsPerMinute, stopsLong, without } = options;
  const span = lastsMs - 2 * quietMs;
  const killCount = Math.ceil((lastsMs / minuteMs) * killsPerMinute);
  const otherCount = Math.ceil((lastsMs / minuteMs) * othersPerMinute);
  const slots = (count: number, index: number) => quietMs + ((index + draws.fraction()) * span) / count;
  const step = (kind: FaultKind, atMs: number): Step => ({
    atMs,
    kind,
    gateway: draws.between(0, 1),
    lastsMs: durationOf(kind, draws),
  });
  const killed = dealt(kills, killCount, draws).map((kind, index) => step(kind, slots(killCount, index)));
  const other = dealt(others, otherCount, draws).map((kind, index) => step(kind, slots(otherCount, index)));
  const long = stopsLong ? longStops(lastsMs, draws) : [];
  return [...killed, ...other, ...long]
    .filter(({ kind }) => !without.has(kind))
    .sort((one, next) => one.atMs - next.atMs);
}

/** Every one of the deck before any comes again. */
function dealt(deck: readonly FaultKind[], count: number, draws: Draws): readonly FaultKind[] {
  const cards: FaultKind[] = [];
  while (cards.length < count) cards.push(...draws.shuffled(deck));
  return cards.slice(0, count);
}

function durationOf(kind: FaultKind, draws: Draws): number {
  switch (kind) {
    case 'kill_gateway':
      return draws.happens(0.5) ? 0 : draws.between(200, 6_000);
    case 'kill_redis':
    case 'kill_postgres':
      return draws.between(0, 4_000);
    case 'stop_gateway':
      return draws.happens(0.5) ? draws.between(100, 2_000) : draws.between(2_000, 12_000);
    case 'stop_redis':
    case 'stop_postgres':
      return draws.between(200, 6_000);
    case 'silence_redis':
    case 'silence_postgres':
      return draws.between(500, 8_000);
    default:
      return 0;
  }
}

const longStopEveryMs = 120_000;
/** Of a gateway that is to be taken for dead, and to come back. */
export const longStopMs = { least: 32_000, most: 45_000 } as const;

/** A gateway that is away for so long is taken for dead, and comes back. */
function longStops(lastsMs: number, draws: Draws): readonly Step[] {
  const count = Math.floor(lastsMs / longStopEveryMs);
  return Array.from({ length: count }, (_, index) => ({
    atMs: index * longStopEveryMs + draws.between(quietMs, longStopEveryMs - longStopMs.most),
    kind: 'stop_gateway' as const,
    gateway: draws.between(0, 1),
    lastsMs: draws.between(longStopMs.least, longStopMs.most),
  }));
}
