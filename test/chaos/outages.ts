import type { Asked, Attempt, Fault, FaultKind } from './records.ts';

// What the faults excuse. DESIGN.md section 6: a stream of a gateway that died is charged by its last checkpoint,
// which is 5 s old at most; and while the ledger is away, no checkpoint can be written.

/** DESIGN.md section 6. */
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

/** When this gateway could write nothing: without its ledger, or standing still. Ordered, and none touches another. */
function outagesOf(faults: readonly Fault[], gateway: number): readonly Interval[] {
  const spans = faults
    .filter((fault) => touches(gateway, fault))
    .filter(({ kind }) => ledgerFaults.has(kind) || kind === 'stop_gateway')
    .map(untilOver)
    .sort((one, other) => one.fromMs - other.fromMs);
  const merged: Interval[] = [];
  for (const span of spans) {
    const last = merged.at(-1);
    if (last === undefined || last.toMs < span.fromMs) merged.push(span);
    else merged[merged.length - 1] = { ...last, toMs: Math.max(last.toMs, span.toMs) };
  }
  return merged;
}

/** Whether this gateway could write nothing in all of the interval. */
export function couldWriteNothing(
  faults: readonly Fault[],
  gateway: number,
  { fromMs, toMs }: Interval,
): boolean {
  return outagesOf(faults, gateway).some((outage) => outage.fromMs <= fromMs && outage.toMs >= toMs);
}

/**
 * What was delivered until then has to be charged: one interval before the end, of the time in which this gateway
 * could write. Outages, however many, excuse as long as they last, and no more.
 */
export function lastCheckpointBefore(
  faults: readonly Fault[],
  { gateway }: Pick<Attempt, 'gateway'>,
  { endMs, intervalMs }: { readonly endMs: number; readonly intervalMs: number },
): number {
  let atMs = endMs;
  let leftMs = intervalMs;
  for (const { fromMs, toMs } of outagesOf(faults, gateway).toReversed()) {
    if (fromMs >= atMs) continue;
    const couldWriteMs = Math.max(0, atMs - toMs);
    if (couldWriteMs >= leftMs) break;
    leftMs -= couldWriteMs;
    atMs = fromMs;
  }
  return atMs - leftMs;
}

/** Faults while a request ran, and shortly before and after: what a person needs to understand its story. */
export function faultsAround(faults: readonly Fault[], { attempts }: Asked): readonly Fault[] {
  const marginMs = 6_000;
  const fromMs = Math.min(...attempts.map(({ sentAtMs }) => sentAtMs)) - marginMs;
  const toMs = Math.max(...attempts.map(({ endedAtMs }) => endedAtMs)) + marginMs;
  return faults.filter((fault) => fault.fromMs <= toMs && untilOver(fault).toMs >= fromMs);
}
