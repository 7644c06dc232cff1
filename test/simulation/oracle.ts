import type { Dialect } from '../../src/dialects/dialect.ts';
import type { Asked, Attempt } from './clients.ts';
import type { MirrorRow } from './mirror.ts';
import { inputRate, outputRate, type SimulatedTenant } from './tenants.ts';
import type { Exchange } from './upstream.ts';
import { tokensOf } from './upstream-script.ts';

/** What a request may be charged, in nano, by what was generated and delivered. */
export interface Expected {
  readonly least: bigint;
  readonly most: bigint;
  readonly why: string;
}

/** Of a stream whose process died: what was delivered in this last time may be missing from its charge. */
export const checkpointMs = Number.POSITIVE_INFINITY;

/** Units times rates times the tenant's multiplier, divided once, half to even. */
export function priceOf(input: number, output: number, { multiplierPpm }: SimulatedTenant): bigint {
  const scaled = (BigInt(input) * inputRate + BigInt(output) * outputRate) * multiplierPpm;
  const unit = 10n ** 12n;
  const [whole, rest] = [scaled / unit, scaled % unit];
  const roundsUp = 2n * rest > unit || (2n * rest === unit && whole % 2n === 1n);
  return roundsUp ? whole + 1n : whole;
}

/**
 * The table of DESIGN.md section 6, told from outside: from what the provider sent and what the client got.
 * Null: it must not be charged.
 */
export function expectedCharge(
  asked: Asked,
  attempts: readonly Attempt[],
  exchanges: readonly Exchange[],
  dialect: Dialect,
): Expected {
  const { tenant } = asked;
  const prompt = promptTokens(asked, dialect);
  const exchange = exchanges.findLast(({ script }) => script.kind === 'stream' || script.kind === 'whole');
  if (exchange === undefined) return { least: 0n, most: priceOf(prompt, 0, tenant), why: 'never answered' };
  const { reported, receivedText, isWhole } = exchange;
  const received = tokensOf(receivedText);
  const served = attempts.filter(({ connection }) => connection.status === 200);
  const exact = reported === null ? [prompt, received] : [reported.input, reported.output];
  const whole = priceOf(exact[0] ?? 0, exact[1] ?? 0, tenant);
  if (isWhole && served.some(({ connection }) => connection.isComplete))
    return { least: whole, most: whole, why: 'complete' };
  const delivered = Math.max(0, ...served.map(deliveredTokens));
  const least = priceOf(
    Math.min(prompt, reported?.input ?? prompt),
    Math.min(delivered, reported?.output ?? delivered),
    tenant,
  );
  const most = priceOf(
    Math.max(prompt, reported?.input ?? prompt),
    Math.max(received, reported?.output ?? 0),
    tenant,
  );
  return { least, most, why: 'broken off' };
}

/** Whether a request that was closed without a charge was delivered anything that counts. */
export function deliveredTokens({ connection, diedAtMs }: Attempt): number {
  return tokensOf(
    connection.textUntil(diedAtMs === null ? Number.POSITIVE_INFINITY : diedAtMs - checkpointMs),
  );
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
