import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { TenantId } from '../domain/ids.ts';
import type { Schema } from '../ledger/schema.ts';
import type {
  Claim,
  ClaimedDelivery,
  DeliveryReport,
  EventData,
  EventFilter,
  EventType,
  Outbox,
  OutboxEvent,
  ReportedEvent,
} from './outbox.ts';

const maxDispatched = 500;

/** The outbox in the ledger's database. Its moments are the database's, whatever the processes' clocks say. */
export function createSqlOutbox(db: Kysely<Schema>): Outbox {
  return {
    dispatch: () => dispatch(db),
    claim: (claim) => takeDue(db, claim),
    delivered: async ({ webhook, position }) => {
      await sql`
        UPDATE webhook_delivery SET delivered_at = now(), failed_at = NULL, last_error = NULL
        WHERE event = ${position}::bigint AND webhook_id = ${webhook.id} AND delivered_at IS NULL`.execute(
        db,
      );
    },
    failed: async ({ webhook, position, attempt }, reason, againInMs) => {
      const end = againInMs === null ? sql`now()` : sql`NULL`;
      await sql`
        UPDATE webhook_delivery
        SET last_error = ${reason}, failed_at = ${end}, next_attempt_at = now() + ${milliseconds(againInMs ?? 0)}
        WHERE event = ${position}::bigint AND webhook_id = ${webhook.id} AND attempts = ${attempt}
          AND delivered_at IS NULL AND failed_at IS NULL`.execute(db);
    },
    disable: async (webhookId, reason) => {
      await sql`
        WITH disabled AS (
          UPDATE webhook SET disabled_at = now() WHERE id = ${webhookId} AND disabled_at IS NULL
        )
        UPDATE webhook_delivery SET failed_at = now(), last_error = ${reason}
        WHERE webhook_id = ${webhookId} AND delivered_at IS NULL AND failed_at IS NULL`.execute(db);
    },
    list: (filter) => selectEvents(db, filter),
  };
}

const milliseconds = (count: number): RawBuilder<unknown> =>
  sql`make_interval(secs => ${count / 1000}::double precision)`;

/** In one statement: an event is marked with its deliveries made, or neither. */
async function dispatch(db: Kysely<Schema>): Promise<number> {
  const { rows } = await sql`
    WITH fresh AS MATERIALIZED (
      SELECT o.position, o.tenant_id, o.type
      FROM outbox o
      WHERE o.dispatched_at IS NULL
      ORDER BY o.position
      LIMIT ${maxDispatched}
      FOR UPDATE SKIP LOCKED
    ),
    made AS (
      INSERT INTO webhook_delivery (webhook_id, event)
      SELECT w.id, f.position
      FROM fresh f
      JOIN webhook w ON w.tenant_id IS NULL OR w.tenant_id = f.tenant_id
      WHERE w.disabled_at IS NULL AND (w.events IS NULL OR f.type = ANY (w.events))
      ON CONFLICT DO NOTHING
    )
    UPDATE outbox o SET dispatched_at = now() FROM fresh f WHERE o.position = f.position
    RETURNING o.position`.execute(db);
  return rows.length;
}

interface ClaimedRow {
  readonly webhook_id: string;
  readonly url: string;
  readonly secret: string;
  readonly position: string;
  readonly attempts: number;
  readonly id: string;
  readonly tenant_id: string;
  readonly type: string;
  readonly data: EventData;
  readonly created_at: Date;
}

/** Each webhook's own oldest, so that one that takes long or fails holds up no other. */
async function takeDue(db: Kysely<Schema>, claim: Claim): Promise<readonly ClaimedDelivery[]> {
  const { rows } = await sql<ClaimedRow>`
    WITH due AS MATERIALIZED (
      SELECT d.event, d.webhook_id
      FROM webhook w
      CROSS JOIN LATERAL (
        SELECT d.event, d.webhook_id
        FROM webhook_delivery d
        WHERE d.webhook_id = w.id AND d.delivered_at IS NULL AND d.failed_at IS NULL AND d.next_attempt_at <= now()
        ORDER BY d.next_attempt_at
        LIMIT ${claim.maxPerWebhook}
        FOR UPDATE SKIP LOCKED
      ) d
      WHERE w.disabled_at IS NULL AND w.id <> ALL (${claim.except}::text[])
    ),
    claimed AS (
      UPDATE webhook_delivery d
      SET
        attempts = d.attempts + 1,
        next_attempt_at = now() + ${milliseconds(claim.leaseMs)},
        last_error = 'the attempt did not end'
      FROM due
      WHERE d.event = due.event AND d.webhook_id = due.webhook_id
      RETURNING d.event, d.webhook_id, d.attempts
    )
    SELECT
      c.webhook_id, c.attempts, w.url, w.secret,
      o.position, o.id, o.tenant_id, o.type, o.data, o.created_at
    FROM claimed c
    JOIN webhook w ON w.id = c.webhook_id
    JOIN outbox o ON o.position = c.event
    ORDER BY o.position`.execute(db);
  return rows.map((row) => ({
    webhook: { id: row.webhook_id, url: row.url, secret: row.secret },
    position: row.position,
    event: decodeEvent(row),
    attempt: row.attempts,
  }));
}

function decodeEvent(
  row: Pick<ClaimedRow, 'id' | 'tenant_id' | 'type' | 'data' | 'created_at'>,
): OutboxEvent {
  return {
    id: row.id,
    tenantId: row.tenant_id as TenantId,
    type: row.type as EventType,
    data: row.data,
    createdAt: row.created_at,
  };
}

async function selectEvents(db: Kysely<Schema>, filter: EventFilter): Promise<readonly ReportedEvent[]> {
  let query = db
    .selectFrom('outbox')
    .select(['id', 'tenant_id', 'type', 'data', 'created_at', sql<string>`position`.as('position')])
    .orderBy('outbox.position', 'desc')
    .limit(filter.limit);
  if (filter.tenantId !== undefined) query = query.where('tenant_id', '=', filter.tenantId);
  if (filter.before !== undefined) query = query.where(sql<boolean>`position < ${filter.before}::bigint`);
  const events = await query.execute();
  const deliveries = await selectDeliveries(
    db,
    events.map(({ position }) => position),
  );
  return events.map((row) => ({
    ...decodeEvent(row),
    position: row.position,
    deliveries: deliveries.get(row.position) ?? [],
  }));
}

async function selectDeliveries(
  db: Kysely<Schema>,
  positions: readonly string[],
): Promise<ReadonlyMap<string, readonly DeliveryReport[]>> {
  const rows = await db
    .selectFrom('webhook_delivery')
    .selectAll()
    .where(sql<boolean>`event = ANY (${positions}::bigint[])`)
    .orderBy('webhook_id')
    .execute();
  return Map.groupBy(rows.map(decodeDelivery), ({ position }) => position);
}

function decodeDelivery(row: {
  readonly webhook_id: string;
  readonly event: string;
  readonly attempts: number;
  readonly next_attempt_at: Date;
  readonly delivered_at: Date | null;
  readonly failed_at: Date | null;
  readonly last_error: string | null;
}): DeliveryReport & { readonly position: string } {
  const closed = row.failed_at === null ? 'due' : 'failed';
  const state = row.delivered_at === null ? closed : 'delivered';
  return {
    position: row.event,
    webhookId: row.webhook_id,
    state,
    attempts: row.attempts,
    nextAttemptAt: state === 'due' ? row.next_attempt_at : null,
    deliveredAt: row.delivered_at,
    lastError: row.last_error,
  };
}
