import type { Kysely } from 'kysely';
import type { UpstreamId } from '../domain/ids.ts';
import { type QuirkOverrides, quirksOf } from '../domain/quirks.ts';
import type { Schema } from '../ledger/schema.ts';
import type { AuditEntry, DialectName, NewUpstream, Upstream } from './catalog.ts';
import { insertAudit } from './sql-audit.ts';

/** A row of `upstream`, read as such or as JSON, where timestamps are strings. */
export interface UpstreamRow {
  readonly id: string;
  readonly provider: string;
  readonly dialects: readonly string[];
  readonly base_url: string;
  readonly credential: string | null;
  readonly headers_timeout_ms: number;
  readonly idle_timeout_ms: number;
  readonly quirks: QuirkOverrides;
  readonly created_at: Date | string;
}

export function decodeUpstream(row: UpstreamRow): Upstream {
  return {
    id: row.id as UpstreamId,
    provider: row.provider,
    dialects: row.dialects as readonly DialectName[],
    baseUrl: row.base_url,
    credential: row.credential,
    headersTimeoutMs: row.headers_timeout_ms,
    idleTimeoutMs: row.idle_timeout_ms,
    quirkOverrides: row.quirks,
    quirks: quirksOf(row.provider, row.quirks),
    createdAt: new Date(row.created_at),
  };
}

export async function selectUpstreams(db: Kysely<Schema>): Promise<readonly Upstream[]> {
  const rows = await db.selectFrom('upstream').selectAll().orderBy('id').execute();
  return rows.map(decodeUpstream);
}

export function putUpstream(
  db: Kysely<Schema>,
  upstream: NewUpstream,
  audit: AuditEntry,
  at: Date,
): Promise<Upstream> {
  return db.transaction().execute(async (trx) => {
    const changes = {
      provider: upstream.provider,
      dialects: [...upstream.dialects],
      base_url: upstream.baseUrl,
      credential: upstream.credential,
      headers_timeout_ms: upstream.headersTimeoutMs,
      idle_timeout_ms: upstream.idleTimeoutMs,
      quirks: JSON.stringify(upstream.quirkOverrides),
      updated_at: at,
    };
    const row = await trx
      .insertInto('upstream')
      .values({ id: upstream.id, ...changes, created_at: at })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(changes))
      .returningAll()
      .executeTakeFirstOrThrow();
    await insertAudit(trx, audit, at);
    return decodeUpstream(row);
  });
}
