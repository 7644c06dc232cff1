import { type Kysely, sql } from 'kysely';
import type { Schema } from '../ledger/schema.ts';
import type { AuditEntry, AuditFilter, AuditRecord } from './catalog.ts';

/** Records who did what; within `db`'s transaction, where it is one. */
export async function insertAudit(db: Kysely<Schema>, audit: AuditEntry, at: Date): Promise<void> {
  await db
    .insertInto('audit_log')
    .values({ ...audit, detail: JSON.stringify(audit.detail), at })
    .execute();
}

export async function insertAuditOnce(db: Kysely<Schema>, audit: AuditEntry, at: Date): Promise<void> {
  await sql`
    INSERT INTO audit_log (at, actor, action, subject, detail)
    SELECT ${at}::timestamptz, ${audit.actor}::text, ${audit.action}::text, ${audit.subject}::text,
      ${JSON.stringify(audit.detail)}::jsonb
    WHERE NOT EXISTS (
      SELECT FROM audit_log WHERE action = ${audit.action} AND subject = ${audit.subject}
    )`.execute(db);
}

export async function selectAudit(db: Kysely<Schema>, filter: AuditFilter): Promise<readonly AuditRecord[]> {
  let query = db
    .selectFrom('audit_log')
    .select(['at', 'actor', 'action', 'subject', 'detail', sql<string>`id`.as('id')])
    .orderBy('audit_log.id', 'desc')
    .limit(filter.limit);
  if (filter.action !== undefined) query = query.where('action', '=', filter.action);
  if (filter.subject !== undefined) query = query.where('subject', '=', filter.subject);
  if (filter.before !== undefined) query = query.where(sql<boolean>`id < ${filter.before}::bigint`);
  return await query.execute();
}
