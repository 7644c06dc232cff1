import type { Clock } from '../domain/clock.ts';
import { Fault } from '../domain/errors.ts';
import type { HealthReport, PartHealth, Status } from './health-report.ts';

/** A part that can be asked how it is. */
export interface Part {
  /** What it is. */
  readonly name: string;
  /**
   * Null when it is well; what is wrong, and what to do, where it can be used all the same. Rejects where it
   * can't be used.
   */
  readonly ask: () => Promise<string | null>;
}

export interface HealthReporterOptions {
  readonly clock: Clock;
  readonly database: Part;
  /** Null where hot state is in memory. */
  readonly redis: Part | null;
  readonly luaScripts: Part | null;
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

const inProcess: PartHealth = {
  status: 'healthy',
  latencyMs: null,
  detail: 'not used: hot state is in memory',
};

async function report({ clock, ...parts }: HealthReporterOptions): Promise<HealthReport> {
  const healthOf = (part: Part | null) => (part === null ? inProcess : probe(part, clock));
  const [database, redis, luaScripts] = await Promise.all([
    healthOf(parts.database),
    healthOf(parts.redis),
    healthOf(parts.luaScripts),
  ]);
  return { status: worstOf([database, redis, luaScripts]), database, redis, luaScripts };
}

function worstOf(parts: readonly PartHealth[]): Status {
  const worstFirst: readonly Status[] = ['unhealthy', 'degraded', 'healthy'];
  return worstFirst.find((status) => parts.some((part) => part.status === status)) ?? 'healthy';
}

async function probe({ name, ask }: Part, clock: Clock): Promise<PartHealth> {
  const startedAtMs = clock.monotonic();
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  try {
    const trouble = await Promise.race([ask(), promise]);
    const latencyMs = Math.round((clock.monotonic() - startedAtMs) * 1000) / 1000;
    return trouble === null
      ? { status: 'healthy', latencyMs, detail: name }
      : { status: 'degraded', latencyMs, detail: `${name}: ${trouble}` };
  } catch (error) {
    return { status: 'unhealthy', latencyMs: null, detail: `${name}: ${reasonOf(error)}` };
  } finally {
    clearTimeout(timer);
  }
}

/** A Fault's own words are for clients; what an engine or we ourselves said below it tells what to mend. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  const tells = cause instanceof Fault || (cause instanceof Error && 'sqlState' in cause);
  return tells ? cause.message : message;
}
