import type { Kysely, Selectable } from 'kysely';
import type { TenantId } from '../domain/ids.ts';
import type { Schema } from '../ledger/schema.ts';
import type { EventType, Webhook, Webhooks } from './outbox.ts';

/** The webhooks in the ledger's database. */
export function createSqlWebhooks(db: Kysely<Schema>): Webhooks {
  return {
    add: async ({ id, tenantId, url, secret, events }) => {
      const row = await db
        .insertInto('webhook')
        .values({ id, tenant_id: tenantId, url, secret, events: events === null ? null : [...events] })
        .returningAll()
        .executeTakeFirstOrThrow();
      return decodeWebhook(row);
    },
    list: async () => {
      const rows = await db.selectFrom('webhook').selectAll().orderBy('created_at').orderBy('id').execute();
      return rows.map(decodeWebhook);
    },
    remove: async (id) => {
      const { numDeletedRows } = await db.deleteFrom('webhook').where('id', '=', id).executeTakeFirst();
      return numDeletedRows > 0n;
    },
  };
}

function decodeWebhook(row: Selectable<Schema['webhook']>): Webhook {
  return {
    id: row.id,
    tenantId: row.tenant_id as TenantId | null,
    url: row.url,
    secret: row.secret,
    events: row.events as EventType[] | null,
    createdAt: row.created_at,
    disabledAt: row.disabled_at,
  };
}
