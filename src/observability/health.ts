import type { Clock } from '../domain/clock.ts';
import type { HealthReport, PartHealth } from './health-report.ts';

export interface HealthReporterOptions {
  readonly clock: Clock;
  /** Resolves when the ledger's engine has answered. */
  readonly pingDatabase: () => Promise<void>;
  readonly database: string;
}

const timeoutMs = 1_500;
/** Asked more often than this, the last answer is given again. */
const keptForMs = 500;

/** Asks the parts, at most twice a second however often it is asked itself. */
export function createHealthReporter(options: HealthReporterOptions): () => Promise<HealthReport> {
  let last: { readonly atMs: number; readonly report: Promise<HealthReport> } | null = null;
  return () => {
    const now = options.clock.monotonic();
    if (last === null || now - last.atMs > keptForMs) last = { atMs: now, report: report(options) };
    return last.report;
  };
}

async function report({ clock, pingDatabase, database }: HealthReporterOptions): Promise<HealthReport> {
  const databaseHealth = await probe(pingDatabase, database, clock);
  const inProcess: PartHealth = {
    status: 'healthy',
    latencyMs: null,
    detail: 'not used: hot state is in memory',
  };
  return { status: databaseHealth.status, database: databaseHealth, redis: inProcess, luaScripts: inProcess };
}

async function probe(ping: () => Promise<void>, detail: string, clock: Clock): Promise<PartHealth> {
  const startedAtMs = clock.monotonic();
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    await Promise.race([ping(), promise]);
    const latencyMs = Math.round((clock.monotonic() - startedAtMs) * 1000) / 1000;
    return { status: 'healthy', latencyMs, detail };
  } catch (error) {
    return { status: 'unhealthy', latencyMs: null, detail: `${detail}: ${(error as Error).message}` };
  } finally {
    clearTimeout(timer);
  }
}
