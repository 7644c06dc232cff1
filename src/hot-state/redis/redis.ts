import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../domain/errors.ts';
import type { QuotaProjection } from '../../domain/quota.ts';
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
import {
  type CheckAnswer,
  projectionArgs,
  readCheck,
  readEach,
  readExtension,
  readState,
  unexpected,
} from './replies.ts';
import type { ScriptArgs } from './script-sender.ts';
import type { RunScript } from './scripts.ts';
import { createTenantPeriods, type KnownPeriod, type TenantPeriods } from './tenant-periods.ts';
import { Together } from './together.ts';

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
  const checks = new Together<QuotaCheck, CheckAnswer>({
    run: (owner, args) => run('quota_check', owner, args),
    argsOf: (calls, { tenantId }) => checkArgs(calls, time(), { known: periods.get(tenantId) }),
    read: (reply, count) => readEach(reply, count).map(readCheck),
  });
  const confirmations = new Together<Confirmation, boolean>({
    run: (owner, args) => run('quota_confirm', owner, args),
    argsOf: (calls) => confirmationArgs(calls, time()),
    read: (reply, count) => readEach(reply, count).map((stands) => stands === 1),
  });
  const deductions = new Together<Deducted, void>({
    run: (owner, args) => run('quota_deduct', owner, args),
    argsOf: (calls) => deductionArgs(calls, time()),
    read: () => [],
  });

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
        return await checkQuota(check, checks, periods);
      } catch (error) {
        if (error instanceof ReplyLost) giveBack(check);
        throw error;
      }
    },
    confirm: async (confirmation) =>
      (await confirmations.ask({ tenantId: confirmation.tenantId }, confirmation))
        ? confirmed
        : await confirmAnew(confirmation, run, time()),
    extend: async (extension) => {
      const { traceId, holder, apiKeyId, holdAmount, tokens, periodDay } = extension;
      const args = [time(), traceId, holder, holdAmount.toString(), periodDay, apiKeyId, tokens];
      return readExtension(await run('quota_extend', extension, args));
    },
    deduct: async (hold, projection, tokens) => {
      await deductions.ask(hold, { hold, projection, tokens });
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
async function confirmAnew(confirmation: Confirmation, run: RunScript, time: number | string) {
  const args = checkArgs([confirmation], time, { durableDay: confirmation.periodDay });
  const [answer] = readEach(await run('quota_check', confirmation, args), 1).map(readCheck);
  if (answer === undefined || answer.kind === 'period' || answer.kind === 'already_open')
    throw unexpected(answer);
  return answer.kind === 'admitted' ? confirmed : answer;
}

async function checkQuota(
  check: QuotaCheck,
  checks: Together<QuotaCheck, CheckAnswer>,
  periods: TenantPeriods,
) {
  for (let asked = 0; asked < maxPeriodAnswers; asked++) {
    const answer = await checks.ask(check, check);
    if (answer.kind !== 'period') return answer;
    periods.learn(check.tenantId, answer);
  }
  throw new Fault('HOT_STATE_UNAVAILABLE', "Redis' clock steps. Try again; nothing was charged.");
}

/** Checks have the period of their tenant, where it is known, and limits; a confirmation the day of the durable row. */
interface CheckedFor {
  readonly known?: KnownPeriod | null;
  readonly durableDay?: string;
}

type Checked = HoldRef & Omit<Confirmation, 'periodDay'> & { readonly limits?: CalledLimits };

/** As lua/quota_check.lua lists them. */
function checkArgs(
  calls: readonly Checked[],
  time: number | string,
  { known, durableDay = '' }: CheckedFor,
): ScriptArgs {
  const args: (string | number)[] = [
    time,
    calls[0]?.apiKeyId ?? '',
    known?.timeZone ?? '',
    known?.sinceMs ?? '',
    known?.period.dayEndsAtMs ?? '',
    known?.period.day ?? '',
    known?.period.month ?? '',
    known?.period.monthEndsAtMs ?? '',
    durableDay,
  ];
  for (const { traceId, holder, holdAmount, observe, tokens, limits } of calls)
    args.push(
      traceId,
      holder,
      holdAmount.toString(),
      observe ? 'observe' : '',
      tokens,
      limits?.maxOpenRequests ?? '',
      limits?.apiKey.rpmLimit ?? '',
      limits?.apiKey.tpmLimit ?? '',
      limits?.apiKey.maxOpenRequests ?? '',
    );
  return args;
}

/** As lua/quota_confirm.lua lists them. */
function confirmationArgs(calls: readonly Confirmation[], time: number | string): ScriptArgs {
  const args: (string | number)[] = [time];
  for (const { traceId, holder, holdAmount } of calls) args.push(traceId, holder, holdAmount.toString());
  return args;
}

interface Deducted {
  readonly hold: HoldRef;
  readonly projection: QuotaProjection;
  readonly tokens: number | null;
}

/** What one batch of the ledger committed has one projection, but for the quotas of API keys that have some. */
const isSame = (one: QuotaProjection, other: QuotaProjection) =>
  one === other ||
  (one.version === other.version && one.apiKeyQuotas.length === 0 && other.apiKeyQuotas.length === 0);

/** As lua/quota_deduct.lua lists them. */
function deductionArgs(calls: readonly Deducted[], time: number | string): ScriptArgs {
  const args: (string | number)[] = [time, calls.length];
  for (const { hold, tokens } of calls) args.push(hold.traceId, hold.holder, tokens ?? '');
  let told: QuotaProjection | null = null;
  for (const { projection } of calls) {
    if (told !== null && isSame(projection, told)) continue;
    args.push(...projectionArgs(projection, []));
    told = projection;
  }
  return args;
}
