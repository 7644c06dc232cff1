import { setTimeout as sleep } from 'node:timers/promises';
import { askOnceMore, type LoadOptions, runLoad } from './clients.ts';
import { compare } from './compare.ts';
import { drawsFrom } from './draws.ts';
import { nowMs } from './exchange.ts';
import { createFaultMaker, type FaultMaker } from './faults.ts';
import { compareHotState } from './hot-state.ts';
import { type LedgerRows, readLedger } from './ledger-rows.ts';
import { planFaults } from './plan.ts';
import { keepProviderLog } from './provider-log.ts';
import type { FaultKind, ToppedUp } from './records.ts';
import { makeReport, type Report, writeReport } from './report.ts';
import { buildStage, type Stage } from './stage.ts';
import { furnish } from './world.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly killsPerMinute: number;
  /** Whether gateways are stopped for longer than it takes to be thought dead. */
  readonly stopsLong: boolean;
  /** Faults that are left out. */
  readonly without: ReadonlySet<FaultKind>;
  /** What is still PENDING so long after everything runs again is lost. */
  readonly settledWithinMs: number;
  /** How old the checkpoint of a stream may be while the ledger is there. */
  readonly checkpointWithinMs: number;
  readonly longTokens: LoadOptions['longTokens'];
  readonly tell: (line: string) => void;
}

const readyWithinMs = 60_000;
/** Apart from the salts of the clients. */
const planSalt = 1_000_000;

/** Load and faults for so long, then an end in peace, and the comparison of all that was written down. */
export async function runChaos(options: ChaosOptions): Promise<Report> {
  const { seed, minutes, tell } = options;
  const stage = await buildStage(seed);
  try {
    const tenants = await furnish(stage);
    tell(`seed ${seed}; logs in ${stage.folder}`);
    const provider = keepProviderLog(stage.simulator.requests);
    const faults = createFaultMaker({ stage, tell: timed(tell) });
    const ended = new AbortController();
    const ports = stage.gateways.map(({ process }) => process.port);
    const loadOptions = { ...options, ports, tenants, ended: ended.signal };
    const load = runLoad(loadOptions);
    const lastsMs = minutes * 60_000;
    const plan = planFaults(drawsFrom(seed, planSalt), { ...options, lastsMs });
    const calm = sleep(lastsMs);
    await faults.run(plan);
    await calm;
    await becomeWhole(stage, faults);
    const wholeAtMs = nowMs();
    ended.abort();
    tell('everything runs again: waiting for what is open');
    const told = await load;
    const ledger = readLedger(stage.databaseUrl);
    await untilSettled(ledger, options.settledWithinMs);
    const settledWithinSeconds = Math.round((nowMs() - wholeAtMs) / 1000);
    const last = await askOnceMore(loadOptions, told.asked);
    const hotState = await compareHotState(stage, tenants);
    provider.stop();
    const comparison = compare({
      told: { ...told, asked: [...told.asked, ...last] },
      tenants,
      rows: await ledger.rows(),
      balances: await ledger.balances(),
      upstream: provider.read(),
      faults: faults.done,
      checkpointWithinMs: options.checkpointWithinMs,
    });
    const reported = {
      seed,
      seconds: Math.round(lastsMs / 1000),
      topUps: countTopUps(told.toppedUp),
      settledWithinSeconds,
      folder: stage.folder,
      comparison,
      hotState,
      faults: faults.done,
      killsPlanned: plan.filter(({ kind }) => kind.startsWith('kill')).length,
    };
    const report = makeReport(reported);
    await writeReport(report, reported);
    return report;
  } finally {
    await stage.end();
  }
}

function timed(tell: (line: string) => void): (line: string) => void {
  const startedAtMs = nowMs();
  return (line) => tell(`${((nowMs() - startedAtMs) / 1000).toFixed(1).padStart(6)} s  ${line}`);
}

async function becomeWhole({ gateways }: Stage, faults: FaultMaker): Promise<void> {
  await faults.mend();
  const untilMs = nowMs() + readyWithinMs;
  for (const { process } of gateways) {
    while (!(await process.isReady())) {
      if (nowMs() > untilMs) throw new Error(`gateway ${process.index} did not get ready again`);
      await sleep(100);
    }
  }
}

/** Bounded: what stays PENDING is a finding. */
async function untilSettled(ledger: LedgerRows, withinMs: number): Promise<void> {
  const untilMs = nowMs() + withinMs;
  while ((await ledger.countPending()) > 0 && nowMs() < untilMs) await sleep(500);
}

function countTopUps(all: readonly ToppedUp[]): Report['topUps'] {
  const acknowledged = all.filter(({ transactionId }) => transactionId !== null);
  return {
    acknowledged: acknowledged.length,
    repeated: acknowledged.filter(({ tries }) => tries > 1).length,
    unacknowledged: all.length - acknowledged.length,
  };
}
