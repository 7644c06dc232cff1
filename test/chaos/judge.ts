import { closingWaitedMs, lastByteAtMs, tokensDelivered } from './delivered.ts';
import { couldWriteNothing, diedAtMs, lastCheckpointBefore, ledgerWasAway } from './outages.ts';
import type { Asked, Attempt, Fault, FindingKind, Row, Upstream } from './records.ts';
import { inputNano, outputNano } from './world.ts';

/** Everything that is known of one request. */
export interface Case {
  readonly asked: Asked;
  /** Null: the ledger knows nothing of it. */
  readonly row: Row | null;
  readonly upstream: readonly Upstream[];
  readonly faults: readonly Fault[];
  /** How old a checkpoint may be while the ledger is there. */
  readonly checkpointWithinMs: number;
}

/** What the client has in the end. */
export type Verdict = 'complete' | 'broken' | 'refused' | 'unknown';

/** Differences that DESIGN.md section 6 names. */
export const lateCheckpoint =
  'charged by an older checkpoint than there always is: until the end the ledger was away, or the process stood still';
export const completeUncommitted =
  'complete while the ledger was away, and its gateway died before the commit: charged by its last checkpoint';
export type Rule = typeof lateCheckpoint | typeof completeUncommitted;

export interface Judgement {
  readonly verdict: Verdict;
  /** For how long before the end what was delivered is not charged; null unless its gateway died under a stream. */
  readonly unchargedMs: number | null;
  readonly explained: readonly Rule[];
  readonly wrong: readonly Wrong[];
}

export interface Wrong {
  readonly kind: FindingKind;
  readonly what: string;
}

/** Whole events only are counted here, and the last one may have been on its way. */
const eventTokens = 1;
/** How long a client may take to notice that its gateway was killed. */
const noticesWithinMs = 1_000;
/** An answer waits 5 s for its commit: it was seen to wait, or there was none to be had, for at least so long. */
const commitWaitMs = { least: 4_500, most: 6_000 } as const;
/** `gateway_died` is written by another process. */
const died = 'gateway_died';

const wrong = (kind: FindingKind, what: string): Wrong => ({ kind, what });

/** Compares what the client has seen, what the provider has sent, and what the ledger says, by DESIGN.md section 6. */
export function judge(found: Case): Judgement {
  const own = found.asked.attempts.filter(({ isOtherBody }) => !isOtherBody);
  const answered = own.filter(({ status }) => status === 200);
  const twice = answered.length > 1 ? [wrong('double', 'it was answered twice under one key')] : [];
  const always = [...twice, ...judgeOtherBodies(found), ...judgeRow(found), ...judgeWords(found, own)];
  const main = answered[0] ?? own.find(isUnknown) ?? null;
  const judged = judgeMain(found, main, own);
  return { ...judged, wrong: [...always, ...judged.wrong] };
}

function isUnknown({ end }: Attempt): boolean {
  return end === 'cut' || end === 'gave_up' || end === 'left';
}

function judgeMain(found: Case, main: Attempt | null, own: readonly Attempt[]): Judgement {
  if (main === null) return judgeRefused(found, own);
  if (main.end === 'complete') return judgeComplete(found, main);
  return judgeBroken(found, main, main.status === 200 ? [main] : own.filter(isUnknown));
}

/** The same key with another body executes nothing. */
function judgeOtherBodies({ asked }: Case): readonly Wrong[] {
  return asked.attempts
    .filter(({ isOtherBody }) => isOtherBody)
    .filter(({ status, code }) => status === 200 || code === 'REQUEST_ALREADY_BILLED')
    .map(({ status }) => wrong('unexplained', `another body under its key was answered with ${status}`));
}

/** What holds for every row, whatever became of its request. */
function judgeRow({ row, upstream }: Case): readonly Wrong[] {
  if (row === null) return [];
  if (row.status === 'PENDING') return [wrong('lost', 'it stays PENDING')];
  if (row.status === 'VOIDED') return [];
  const { amount, inputTokens, outputTokens } = row;
  const all: Wrong[] = [];
  if (amount !== BigInt(inputTokens ?? -1) * inputNano + BigInt(outputTokens ?? -1) * outputNano) {
    all.push(wrong('unexplained', 'its amount is not the price of its tokens'));
  }
  if (upstream.length === 0) all.push(wrong('unexplained', 'it is charged, and the provider never saw it'));
  const sent = Math.max(0, ...upstream.map(({ tokensSent }) => tokensSent));
  if ((outputTokens ?? 0) > sent) {
    all.push(wrong('unexplained', `it is charged for ${outputTokens} tokens, and the provider sent ${sent}`));
  }
  const prompts = new Set(upstream.flatMap(({ promptTokens }) => promptTokens ?? []));
  if (prompts.size > 0 && !prompts.has(inputTokens ?? -1)) {
    all.push(wrong('unexplained', `its prompt is charged as ${inputTokens} tokens, and has ${[...prompts]}`));
  }
  return all;
}

/** What the client was told of it later has to be how it ended. */
function judgeWords({ asked, row }: Case, own: readonly Attempt[]): readonly Wrong[] {
  const all: Wrong[] = [];
  for (const { code, pieces } of own) {
    if (code !== 'REQUEST_ALREADY_BILLED') continue;
    const text = pieces.map((piece) => piece.text).join('');
    const told = text.includes('was not charged') ? 'VOIDED' : 'COMMITTED';
    if (row?.status !== told) all.push(wrong('unexplained', `a repeat was told that it is ${told}`));
  }
  for (const { status, amount } of asked.inquiries) {
    const isSame = row?.status === status && (status !== 'COMMITTED' || row.amount === amount);
    if (status !== 'PENDING' && !isSame) {
      all.push(
        wrong('unexplained', `its client was told ${status} ${amount}, and that is not what it became`),
      );
    }
  }
  return all;
}

/** Refused, or never sent: no charge. */
function judgeRefused({ row }: Case, own: readonly Attempt[]): Judgement {
  const isCharged = row?.status === 'COMMITTED';
  const neverSent = own.every(({ end }) => end === 'unreached');
  return {
    verdict: neverSent ? 'unknown' : 'refused',
    unchargedMs: null,
    explained: [],
    wrong: [
      ...(isCharged ? [wrong('unexplained', 'it was refused, and is charged')] : []),
      ...(neverSent && row !== null ? [wrong('unexplained', 'it never left its client, and has a row')] : []),
    ],
  };
}

/** What a client saw complete is committed, with the amount that it was told and that the provider's usage costs. */
function judgeComplete(found: Case, main: Attempt): Judgement {
  const { row, upstream, faults } = found;
  const told = main.headers['x-billing-amount'];
  const base = { verdict: 'complete', unchargedMs: null } as const;
  if (row?.status !== 'COMMITTED' || row.outcome === died) {
    if (told !== undefined || !waitedInVain(faults, main) || !hasDied(found, main)) {
      const what = `its client saw it complete, and it is ${row?.status ?? 'nowhere'} (${row?.outcome})`;
      return { ...base, explained: [], wrong: [wrong('lost', what)] };
    }
    return { ...base, explained: [completeUncommitted], wrong: judgeCheckpoint(found, main, [main]).wrong };
  }
  const counts = upstream.filter(({ outcome }) => outcome === 'completed');
  const generated = Math.max(-1, ...counts.map(({ completionTokens }) => completionTokens ?? -1));
  const isExact = row.outputTokens === generated;
  const isAsTold = told === undefined || decimal(told) === row.amount;
  return {
    ...base,
    explained: [],
    wrong: [
      ...(isExact ? [] : [wrong('unexplained', `${row.outputTokens} tokens charged of ${generated}`)]),
      ...(isAsTold
        ? []
        : [wrong('unexplained', `its client was told ${told}, and is charged ${row.amount}`)]),
    ],
  };
}

/** Whether it was completed only after all of the time that its commit may take, with the ledger away. */
function waitedInVain(faults: readonly Fault[], main: Attempt): boolean {
  const { gateway, endedAtMs: toMs } = main;
  if (!ledgerWasAway(faults, gateway, { fromMs: toMs - commitWaitMs.most, toMs })) return false;
  const couldNot = couldWriteNothing(faults, gateway, { fromMs: toMs - commitWaitMs.least, toMs });
  return couldNot || closingWaitedMs(main) >= commitWaitMs.least;
}

function decimal(text: string): bigint {
  const [whole = '0', fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(9, '0'));
}

function hasDied({ row, faults }: Case, { gateway, sentAtMs }: Attempt): boolean {
  const atMs = diedAtMs(faults, gateway, sentAtMs);
  return atMs !== null && (row === null || atMs <= row.updatedAtMs);
}

/**
 * The answer broke off, or nothing of it is known.
 * @param candidates which of the attempts the row may be of
 */
function judgeBroken(found: Case, main: Attempt, candidates: readonly Attempt[]): Judgement {
  const { asked, row } = found;
  const isAnswered = main.status === 200;
  const verdict = isAnswered ? 'broken' : 'unknown';
  if (row === null) {
    const all =
      main.pieces.length > 0 ? [wrong('lost', 'bytes of it were delivered, and it has no row')] : [];
    return { verdict, unchargedMs: null, explained: [], wrong: [...all, ...judgeCut(found, main)] };
  }
  const cuts = judgeCut(found, main);
  const isOfDeadGateway = row.outcome === died || (main.end === 'cut' && cuts.length === 0);
  if (!isOfDeadGateway) {
    const all = [...cuts, ...judgeDelivered(row, main)];
    return { verdict, unchargedMs: null, explained: [], wrong: all };
  }
  const { explained, wrong: all } = judgeCheckpoint(found, main, candidates);
  const isWronglyDead = row.outcome === died && !candidates.some((attempt) => hasDied(found, attempt));
  const neverDied = isWronglyDead ? [wrong('unexplained', 'it ended as of a dead gateway, which lived')] : [];
  return {
    verdict,
    unchargedMs: asked.isStream && isAnswered ? unchargedMs(main, row) : null,
    explained,
    wrong: [...cuts, ...neverDied, ...all],
  };
}

/** Connections of clients break with their gateway only. */
function judgeCut({ faults }: Case, { end, gateway, sentAtMs, endedAtMs }: Attempt): readonly Wrong[] {
  if (end !== 'cut') return [];
  const killed = faults.some(
    (fault) =>
      fault.kind === 'kill_gateway' &&
      fault.gateway === gateway &&
      fault.fromMs <= endedAtMs &&
      (fault.toMs ?? Number.POSITIVE_INFINITY) >= sentAtMs - noticesWithinMs,
  );
  return killed ? [] : [wrong('unexplained', 'its connection broke, and its gateway was not killed')];
}

/** Its gateway lived: what the client has is charged, and more only where the client didn't wait for it. */
function judgeDelivered(row: Row, main: Attempt): readonly Wrong[] {
  const delivered = tokensDelivered(main);
  const charged = row.status === 'COMMITTED' ? (row.outputTokens ?? 0) : 0;
  const stayed = main.end === 'told_error';
  if (charged >= delivered && (!stayed || charged === delivered)) return [];
  const kind = charged < delivered ? 'lost' : 'unexplained';
  return [wrong(kind, `${delivered} tokens were delivered, and ${charged} are charged (${row.outcome})`)];
}

/** Its gateway died: it is charged by its last checkpoint, or by the commit that it still could make. */
function judgeCheckpoint(found: Case, main: Attempt, candidates: readonly Attempt[]): Checked {
  const { asked, row, faults, checkpointWithinMs: intervalMs } = found;
  const endMs = lastByteAtMs(main) ?? main.endedAtMs;
  const tokensBy = (byMs: number) => (asked.isStream ? tokensDelivered(main, byMs) : 0);
  const delivered = tokensBy(endMs);
  const charged = row?.status === 'COMMITTED' ? (row.outputTokens ?? 0) : 0;
  const least = tokensBy(lastCheckpointBefore(faults, main, { endMs, intervalMs })) - eventTokens;
  const all: Wrong[] = [];
  if (charged < least) {
    const what = `${delivered} tokens were delivered, and ${charged} are charged (${row?.outcome})`;
    all.push(wrong('lost', `${what}: its last checkpoint should have ${least}`));
  }
  // A client that stayed has all that was delivered to it.
  const stayed = candidates.every(({ end }) => end === 'cut' || end === 'told_error');
  if (row?.outcome === died && stayed) {
    if (charged > delivered + eventTokens) {
      all.push(wrong('unexplained', `${delivered} tokens were delivered, and ${charged} are charged`));
    }
    if (row.status === 'COMMITTED' && main.pieces.length === 0) {
      all.push(wrong('unexplained', 'nothing was delivered, and it is charged'));
    }
  }
  const isLate = charged < tokensBy(endMs - intervalMs) - eventTokens;
  return { explained: isLate && all.length === 0 ? [lateCheckpoint] : [], wrong: all, isLate };
}

function unchargedMs(main: Attempt, row: Row): number {
  const charged = row.status === 'COMMITTED' ? (row.outputTokens ?? 0) : 0;
  const first = main.pieces.find(({ atMs }) => tokensDelivered(main, atMs) > charged);
  return first === undefined ? 0 : (lastByteAtMs(main) ?? first.atMs) - first.atMs;
}

interface Checked extends Pick<Judgement, 'explained' | 'wrong'> {
  /** More of what was delivered is not charged than without an outage. */
  readonly isLate: boolean;
}
