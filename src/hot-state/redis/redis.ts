import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../domain/errors.ts';
import {
  type CalledLimits,
  type Confirmation,
  type HoldRef,
  type HotState,
  type QuotaCheck,
  sessionLockMs,
} from '../hot-state.ts';
import { ReplyLost } from './connect.ts';
import { readHolds } from './holds.ts';
import { projectionArgs, readCheck, readExtension, readState, unexpected } from './replies.ts';
import type { ScriptArgs } from './script-sender.ts';
import type { RunScript } from './scripts.ts';
import { createTenantPeriods, type KnownPeriod, type TenantPeriods } from './tenant-periods.ts';

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

const confirmed = { kind: 'confirmed' } as const;

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

  const release = async (hold: HoldRef) => {
    await run('quota_release', hold, [time(), hold.traceId, hold.holder]);
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
    extend: async (extension) => {
      const { traceId, holder, apiKeyId, holdAmount, tokens, periodDay } = extension;
      const args = [time(), traceId, holder, holdAmount.toString(), periodDay, apiKeyId, tokens];
      return readExtension(await run('quota_extend', extension, args));
    },
    deduct: async (hold, projection, tokens) => {
      const args = projectionArgs(projection, [time(), hold.traceId, hold.holder, tokens ?? '']);
      await run('quota_deduct', hold, args);
    },
    release,
    project: async (projection) => {
      await run('quota_project', projection, projectionArgs(projection, []));
    },
    load: async ({ projection, openPendings }, ticket) => {
      const pendings = openPendings.map((pending) => [
        pending.traceId,
        pending.transactionId,
        pending.holdAmount.toString(),
        pending.periodDay,
        pending.apiKeyId,
        pending.holdTokens,
      ]);
      const args = projectionArgs(projection, [time(), ticket, JSON.stringify(pendings)]);
      await run('quota_load', projection, args);
    },
    lockSession: async (lock) => (await run('session_lock', lock, [lock.holder, sessionLockMs])) === 1,
    unlockSession: async (lock) => {
      await run('session_unlock', lock, [lock.holder]);
    },
    look: async (tenantId) => readState(await run('quota_look', { tenantId }, [time()]), tenantId),
    holds: async (tenantId) => readHolds(await run('quota_holds', { tenantId }, [time()]), tenantId),
    forget: async (tenantId) => {
      await run('quota_forget', { tenantId }, []);
    },
    close: () => closing.abort(),
  };
}

/** Where the hold doesn't stand as it was checked, it is decided anew, for the day of the row. */
async function confirmHold(confirmation: Confirmation, run: RunScript, time: () => number | string) {
  const { tenantId, traceId, holder, holdAmount } = confirmation;
  const stands = await run('quota_confirm', { tenantId }, [time(), traceId, holder, holdAmount.toString()]);
  if (stands === 1) return confirmed;
  const args = checkArgs(confirmation, time(), { durableDay: confirmation.periodDay });
  const answer = readCheck(await run('quota_check', confirmation, args));
  if (answer.kind === 'period' || answer.kind === 'already_open') throw unexpected(answer);
  return answer.kind === 'admitted' ? confirmed : answer;
}

async function checkQuota(
  check: QuotaCheck,
  run: RunScript,
  periods: TenantPeriods,
  time: () => number | string,
) {
  let known = periods.get(check.tenantId);
  for (let asked = 0; asked < maxPeriodAnswers; asked++) {
    const answer = readCheck(
      await run('quota_check', check, checkArgs(check, time(), { known, limits: check.limits })),
    );
    if (answer.kind !== 'period') return answer;
    known = periods.learn(check.tenantId, answer);
  }
  throw new Fault('HOT_STATE_UNAVAILABLE', "Redis' clock steps. Try again; nothing was charged.");
}

/** A check has the caller's period, where it is known, and limits; a confirmation the day of the durable row. */
interface CheckedFor {
  readonly known?: KnownPeriod | null;
  readonly limits?: CalledLimits;
  readonly durableDay?: string;
}

/** As lua/quota_check.lua lists them. */
function checkArgs(
  hold: HoldRef & Pick<Confirmation, 'holdAmount' | 'tokens' | 'observe'>,
  time: number | string,
  { known, limits, durableDay = '' }: CheckedFor,
): ScriptArgs {
  return [
    time,
    hold.traceId,
    hold.holder,
    hold.holdAmount.toString(),
    hold.apiKeyId,
    hold.observe ? 'observe' : '',
    known?.timeZone ?? '',
    known?.sinceMs ?? '',
    known?.period.dayEndsAtMs ?? '',
    known?.period.day ?? '',
    durableDay,
    known?.period.month ?? '',
    known?.period.monthEndsAtMs ?? '',
    hold.tokens,
    limits?.maxOpenRequests ?? '',
    limits?.apiKey.rpmLimit ?? '',
    limits?.apiKey.tpmLimit ?? '',
    limits?.apiKey.maxOpenRequests ?? '',
  ];
}
