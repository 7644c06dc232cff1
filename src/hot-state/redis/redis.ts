import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../domain/errors.ts';
import type { Confirmation, HoldRef, HotState, QuotaCheck } from '../hot-state.ts';
import { ReplyLost } from './connect.ts';
import { projectionArgs, readCheck, readExtension, readState, unexpected } from './replies.ts';
import type { RunScript } from './scripts.ts';
import { createTenantPeriods, type TenantPeriods } from './tenant-periods.ts';

export interface RedisHotStateOptions {
  readonly run: RunScript;
  /** Holds that may stand although their check failed, and could not be given back in this attempt. */
  readonly onFault: (what: string, error: unknown) => void;
  /** For tests alone: elsewhere Redis' own clock decides. Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface RedisHotState extends HotState {
  /** Stops giving back what lost checks may hold. The connection is the caller's. */
  close(): void;
}

/** A period may end while its request is on the way; twice in a row it doesn't. */
const maxPeriodAnswers = 3;

const firstPauseMs = 100;
const longestPauseMs = 5_000;
/** After so long nobody's hold stands unconfirmed any more. */
const giveBackWithinMs = 30_000;

/** Hot state that several processes share. Every script may run twice for one call. */
export function createRedisHotState({ run, onFault, now }: RedisHotStateOptions): RedisHotState {
  const periods = createTenantPeriods();
  const closing = new AbortController();
  const time = () => (now === undefined ? '' : now());

  const release = async ({ tenantId, traceId, holder }: HoldRef) => {
    await run('quota_release', tenantId, [time(), traceId, holder]);
  };

  /**
   * The check may have placed a hold that nobody knows of, and that would keep money from others until it is
   * dropped for its age. Once released, the holder is settled: a check that arrives even later places none.
   */
  async function giveBack(hold: HoldRef): Promise<void> {
    const untilMs = performance.now() + giveBackWithinMs;
    for (
      let pauseMs = firstPauseMs;
      !closing.signal.aborted && performance.now() < untilMs;
      pauseMs = Math.min(pauseMs * 2, longestPauseMs)
    ) {
      try {
        return await release(hold);
      } catch (error) {
        onFault('giving back the hold of a lost check', error);
        await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }

  return {
    check: async (check) => {
      try {
        return await checkQuota(check, run, periods, time);
      } catch (error) {
        if (error instanceof ReplyLost) giveBack(check);
        throw error;
      }
    },
    confirm: async (confirmation) => await confirmHold(confirmation, run, time),
    extend: async ({ tenantId, traceId, holder, holdAmount, periodDay }) => {
      const args = [time(), traceId, holder, holdAmount.toString(), periodDay];
      return readExtension(await run('quota_extend', tenantId, args));
    },
    deduct: async ({ tenantId, traceId, holder }, projection) => {
      await run('quota_deduct', tenantId, [time(), traceId, holder, ...projectionArgs(projection)]);
    },
    release,
    project: async (projection) => {
      await run('quota_project', projection.tenantId, projectionArgs(projection));
    },
    load: async ({ projection, openPendings }, ticket) => {
      const pendings = openPendings.map(({ traceId, transactionId, holdAmount, periodDay }) => [
        traceId,
        transactionId,
        holdAmount.toString(),
        periodDay,
      ]);
      const args = [time(), ticket, JSON.stringify(pendings), ...projectionArgs(projection)];
      await run('quota_load', projection.tenantId, args);
    },
    look: async (tenantId) => readState(await run('quota_look', tenantId, [time()]), tenantId),
    close: () => closing.abort(),
  };
}

/** The same script, for a period of its own: that of the row. */
async function confirmHold(
  { tenantId, traceId, holder, holdAmount, periodDay }: Confirmation,
  run: RunScript,
  time: () => number | string,
) {
  const args = [time(), traceId, holder, holdAmount.toString(), ...noPeriod, periodDay];
  const answer = readCheck(await run('quota_check', tenantId, args), null);
  if (answer.kind === 'period' || answer.kind === 'already_open') throw unexpected(answer);
  return answer;
}

const noPeriod = ['', '', '', '', ''];
const notDurable = '';

async function checkQuota(
  { tenantId, traceId, holder, holdAmount }: QuotaCheck,
  run: RunScript,
  periods: TenantPeriods,
  time: () => number | string,
) {
  let known = periods.get(tenantId);
  for (let asked = 0; asked < maxPeriodAnswers; asked++) {
    const period =
      known === null
        ? noPeriod
        : [known.timeZone, known.sinceMs, known.period.dayEndsAtMs, known.period.day, known.period.month];
    const args = [time(), traceId, holder, holdAmount.toString(), ...period, notDurable];
    const answer = readCheck(await run('quota_check', tenantId, args), known?.period ?? null);
    if (answer.kind !== 'period') return answer;
    known = periods.learn(tenantId, answer);
  }
  throw new Fault('HOT_STATE_UNAVAILABLE', "Redis' clock steps. Try again; nothing was charged.");
}
