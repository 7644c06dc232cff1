import { type Kysely, sql } from 'kysely';
import type { SecretHash } from '../domain/ids.ts';
import type { Schema } from '../ledger/schema.ts';
import { insertAudit } from './sql-audit.ts';

export async function selectAdmin(db: Kysely<Schema>, secretHash: SecretHash): Promise<string | undefined> {
  const row = await db
    .selectFrom('admin_token')
    .select('name')
    .where('secret_hash', '=', secretHash)
    .executeTakeFirst();
  return row?.name;
}

interface NewAdminToken {
  readonly name: string;
  readonly secretHash: SecretHash;
  readonly at: Date;
}

export async function insertAdminToken(db: Kysely<Schema>, token: NewAdminToken): Promise<void> {
  await db.transaction().execute((trx) => insert(trx, token));
}

/** Returns whether it is the first; where there is one, nothing changes. */
export async function insertFirstAdminToken(db: Kysely<Schema>, token: NewAdminToken): Promise<boolean> {
  if (await hasAdmin(db)) return false;
  return await db.transaction().execute(async (trx) => {
    // Two that see an empty table would both write: the second waits here, and then sees the first one's.
    // Readers don't wait.
    await sql`LOCK TABLE admin_token IN SHARE ROW EXCLUSIVE MODE`.execute(trx);
    if (await hasAdmin(trx)) return false;
    await insert(trx, token);
    return true;
  });
}

async function hasAdmin(db: Kysely<Schema>): Promise<boolean> {
  return (await db.selectFrom('admin_token').select('name').limit(1).executeTakeFirst()) !== undefined;
}

async function insert(db: Kysely<Schema>, { name, secretHash, at }: NewAdminToken): Promise<void> {
  const row = await db
    .insertInto('admin_token')
    .values({ secret_hash: secretHash, name, created_at: at })
    .onConflict((conflict) => conflict.doNothing())
    .returning('name')
    .executeTakeFirst();
  if (row === undefined) return;
  // No admin did this: the gateway makes admin tokens when it starts.
  await insertAudit(db, { actor: 'gateway', action: 'admin_token.create', subject: name, detail: {} }, at);
}
