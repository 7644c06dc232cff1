import type { Dialect } from '../../src/dialects/dialect.ts';
import type { Asked, Attempt } from './clients.ts';
import type { MirrorRow } from './mirror.ts';
import { inputRate, outputRate, type SimulatedTenant } from './tenants.ts';
import type { Troubles } from './troubles.ts';
import type { Exchange } from './upstream.ts';
import { tokensOf } from './upstream-script.ts';

/** What a request may be charged, in nano, by what was generated and delivered. */
export interface Expected {
  readonly least: bigint;
  readonly most: bigint;
  readonly why: string;
}

/** Of a stream that is settled by others, what was delivered in this last time may be missing from its charge. */
const checkpointMs = 5_300;
/** The last piece of a text that broke off counts one, and is a sign and a blank at most. */
const openTokens = 1;
/** A stream that was delivered for so long has a checkpoint. */
const firstCheckpointMs = 1_800;

/** When a request was over that its process has not closed: by its death, or since it was taken for dead. */
export interface Break {
  readonly atMs: number;
  readonly troubles: Troubles;
}

/** Units times rates times the tenant's multiplier, divided once, half to even. */
export function priceOf(input: number, output: number, { multiplierPpm }: SimulatedTenant): bigint {
  const scaled = (BigInt(input) * inputRate + BigInt(output) * outputRate) * multiplierPpm;
  const unit = 10n ** 12n;
  const [whole, rest] = [scaled / unit, scaled % unit];
  const roundsUp = 2n * rest > unit || (2n * rest === unit && whole % 2n === 1n);
  return roundsUp ? whole + 1n : whole;
}

export interface Circumstances {
  readonly dialect: Dialect;
  /** Null where its process closed it. */
  readonly broken: Break | null;
  /** Whether it was charged its last checkpoint. */
  readonly isOrphan: boolean;
}

/**
 * The table of DESIGN.md section 6, told from outside: from what the provider sent and what the client got.
 * Null: it must not be charged.
 */
export function expectedCharge(
  asked: Asked,
  attempts: readonly Attempt[],
  exchanges: readonly Exchange[],
  { dialect, broken, isOrphan }: Circumstances,
): Expected | null {
  const { tenant } = asked;
  const prompt = promptTokens(asked, dialect);
  const hasLeft = attempts.some(({ connection }) => connection.hasHungUp);
  const exchange = exchanges.findLast(isAnswered);
  if (exchange === undefined) {
    if (isOrphan || !exchanges.some((unanswered) => leftIt(attempts, unanswered))) return null;
    const ofPrompt = priceOf(prompt, 0, tenant);
    return { least: ofPrompt, most: ofPrompt, why: 'sent, and left by the client' };
  }
  const { reported, receivedText, isWhole } = exchange;
  const received = tokensOf(receivedText);
  const served = attempts.filter(({ connection }) => connection.status === 200);
  const exact = reported === null ? [prompt, received] : [reported.input, reported.output];
  const isDelivered = served.some(({ connection }) => connection.body !== '');
  // Of a stream, its first byte counts; of a whole answer, its last. Only who left pays for less.
  if (!hasLeft && !isDelivered && (isOrphan || !isWhole)) return null;
  const whole = priceOf(exact[0] ?? 0, exact[1] ?? 0, tenant);
  const isComplete = isWhole && served.some(({ connection }) => connection.isComplete);
  if (isComplete && broken === null) return { least: whole, most: whole, why: 'complete' };
  const delivered = deliveredTokens(
    served,
    broken === null ? null : lastsUntil(broken, served, checkpointMs),
  );
  const least = priceOf(
    Math.min(prompt, reported?.input ?? prompt),
    Math.min(Math.max(0, delivered - openTokens), reported?.output ?? delivered),
    tenant,
  );
  const generated = generatedTokens(served, received, isOrphan && !hasLeft);
  const most = priceOf(
    Math.max(prompt, reported?.input ?? prompt),
    Math.max(generated, reported?.output ?? 0),
    tenant,
  );
  return { least, most, why: broken === null ? 'broken off' : 'settled by another' };
}

/** For who left, a route may have read on: what came until then is what was generated. */
function generatedTokens(served: readonly Attempt[], received: number, isOfDelivered: boolean): number {
  return isOfDelivered ? deliveredTokens(served, null) : received;
}

function isAnswered({ script, begun }: Exchange): boolean {
  return (script.kind === 'stream' || script.kind === 'whole') && begun?.how === 'head';
}

/** Whether it was sent to a provider that had not answered when its client left. */
function leftIt(attempts: readonly Attempt[], { begun }: Exchange): boolean {
  if (begun?.how !== 'cancelled' && begun?.how !== 'timeout') return false;
  return attempts.some(
    ({ connection }) => connection.hasHungUp && (connection.endedAtMs ?? Infinity) <= begun.atMs,
  );
}

/** What was delivered of a request that was closed without a charge, as far as that must not be. */
export function mustBeCharged(attempts: readonly Attempt[], broken: Break | null): number {
  const served = attempts.filter(({ connection }) => connection.status === 200);
  if (broken === null) return deliveredTokens(served, null);
  // Of what is delivered as a whole, nobody else knows anything.
  const streams = served.filter(({ connection }) => connection.isStream);
  return deliveredTokens(streams, lastsUntil(broken, streams, firstCheckpointMs));
}

/** The time until which what was delivered is known to others. */
function lastsUntil({ atMs, troubles }: Break, served: readonly Attempt[], ms: number): number {
  const endedAtMs = served.map(({ connection }) => connection.endedAtMs ?? atMs);
  return troubles.before(Math.min(atMs, ...endedAtMs), ms);
}

function deliveredTokens(served: readonly Attempt[], untilMs: number | null): number {
  const ofEach = served.map(({ connection }) => tokensOf(connection.textUntil(untilMs ?? Infinity)));
  return Math.max(0, ...ofEach);
}

function promptTokens({ body }: Asked, dialect: Dialect): number {
  const request = dialect.readRequest({ path: '', query: new URLSearchParams(), body });
  if (request.kind === 'refused') throw new Error(request.message);
  const { texts, overhead } = request.prompt();
  return texts.reduce((sum, text) => sum + tokensOf(text), overhead);
}

/** Which request a row is of: the hash of a request has its label in it. */
export function askedOf(row: MirrorRow, byHash: ReadonlyMap<string, Asked>): Asked | undefined {
  return byHash.get(row.requestHash);
}
