import type { Asked, Attempt, Fault, FaultKind } from './records.ts';

// What the faults excuse. DESIGN.md section 6: a stream of a gateway that died is charged by its last checkpoint,
// which is 5 s old at most; and while the ledger is away, no checkpoint can be written.

export const checkpointIntervalMs = 5_000;
/** A process that stands still for so long may be taken for dead: its lease ends after 25 s. */
const takenForDeadMs = 24_000;
/** What was cut or started again is whole again after it. */
const recoversWithinMs = 1_500;

const ledgerFaults: ReadonlySet<FaultKind> = new Set([
  'kill_postgres',
  'stop_postgres',
  'cut_postgres',
  'lose_reply_of_postgres',
  'silence_postgres',
]);

interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

const untilOver = ({ fromMs, toMs }: Fault): Interval => ({
  fromMs,
  toMs: (toMs ?? Number.POSITIVE_INFINITY) + recoversWithinMs,
});

function touches(gateway: number, fault: Fault): boolean {
  return fault.gateway === null || fault.gateway === gateway;
}

/** Whether the ledger was away from this gateway at some time of the interval. */
export function ledgerWasAway(
  faults: readonly Fault[],
  gateway: number,
  { fromMs, toMs }: Interval,
): boolean {
  return faults.some(
    (fault) =>
      ledgerFaults.has(fault.kind) &&
      touches(gateway, fault) &&
      fault.fromMs <= toMs &&
      untilOver(fault).toMs >= fromMs,
  );
}

/** When this gateway, from that time on, was first killed, or stood still for so long that it was taken for dead. */
export function diedAtMs(faults: readonly Fault[], gateway: number, fromMs: number): number | null {
  const deaths = faults
    .filter((fault) => fault.gateway === gateway)
    .filter(({ kind, ...span }) => kind === 'kill_gateway' || (kind === 'stop_gateway' && isLong(span)))
    .filter((fault) => (fault.kind === 'kill_gateway' ? fault.fromMs : untilOver(fault).toMs) >= fromMs)
    .map((fault) => fault.fromMs);
  return deaths.length === 0 ? null : Math.min(...deaths);
}

function isLong({ fromMs, toMs }: Pick<Fault, 'fromMs' | 'toMs'>): boolean {
  return (toMs ?? Number.POSITIVE_INFINITY) - fromMs >= takenForDeadMs;
}

/**
 * What was delivered until then has to be charged: an interval before the end, or before the ledger went away from
 * this gateway, or before its process stood still.
 */
export function lastCheckpointBefore(
  faults: readonly Fault[],
  { gateway }: Pick<Attempt, 'gateway'>,
  endMs: number,
): number {
  const spans = faults
    .filter(
      (fault) => touches(gateway, fault) && (ledgerFaults.has(fault.kind) || fault.kind === 'stop_gateway'),
    )
    .map(untilOver)
    .filter(({ fromMs }) => fromMs <= endMs)
    .sort((one, other) => other.fromMs - one.fromMs);
  let atMs = endMs - checkpointIntervalMs;
  for (const { fromMs, toMs } of spans) {
    if (toMs >= atMs) atMs = Math.min(atMs, fromMs - checkpointIntervalMs);
  }
  return atMs;
}

/** Faults while a request ran, and shortly before and after: what a person needs to understand its story. */
export function faultsAround(faults: readonly Fault[], { attempts }: Asked): readonly Fault[] {
  const marginMs = 6_000;
  const fromMs = Math.min(...attempts.map(({ sentAtMs }) => sentAtMs)) - marginMs;
  const toMs = Math.max(...attempts.map(({ endedAtMs }) => endedAtMs)) + marginMs;
  return faults.filter((fault) => fault.fromMs <= toMs && untilOver(fault).toMs >= fromMs);
}
