import { type Kysely, sql } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import type { UpstreamId } from '../domain/ids.ts';
import { decodePriceList, encodePriceList, type PriceListJson } from '../domain/price-list-json.ts';
import type { RateCard } from '../domain/pricing.ts';
import type { Schema } from '../ledger/schema.ts';
import type {
  AuditEntry,
  ClientGonePolicy,
  NewModel,
  Route,
  ServedModel,
  Target,
  UnknownUpstreams,
} from './catalog.ts';
import { insertAudit } from './sql-audit.ts';
import { decodeUpstream, type UpstreamRow } from './sql-upstreams.ts';

interface RouteRow extends UpstreamRow {
  readonly upstream_model: string;
  readonly weight: number;
  readonly priority: number;
  readonly when_client_gone: string;
  readonly cost_rates: PriceListJson | null;
}

function decodeTarget(row: RouteRow): Target {
  const upstream = decodeUpstream(row);
  const route: Route = {
    upstreamId: upstream.id,
    upstreamModel: row.upstream_model,
    weight: row.weight,
    priority: row.priority,
    whenClientGone: row.when_client_gone as ClientGonePolicy,
    costRates: row.cost_rates === null ? null : decodePriceList(row.cost_rates),
  };
  return { route, upstream };
}

function decodeRateCard(row: { effective_from: Date | string; rates: PriceListJson }): RateCard {
  return { effectiveFromMs: new Date(row.effective_from).getTime(), ...decodePriceList(row.rates) };
}

/**
 * Models with all that serves them, by name; `name` leaves only that one. One statement, so that a
 * model that is being replaced is seen as it was or as it will be, never as half of each.
 */
export async function selectModels(db: Kysely<Schema>, name?: string): Promise<readonly ServedModel[]> {
  let query = db
    .selectFrom('model')
    .select((eb) => [
      'model.name',
      'model.max_input_tokens',
      'model.max_output_tokens',
      'model.created_at',
      jsonArrayFrom(
        eb
          .selectFrom('route')
          .innerJoin('upstream', 'upstream.id', 'route.upstream')
          .select([
            'route.upstream_model',
            'route.weight',
            'route.priority',
            'route.when_client_gone',
            'route.cost_rates',
          ])
          .selectAll('upstream')
          .whereRef('route.model', '=', 'model.name')
          .orderBy('route.position'),
      ).as('routes'),
      jsonArrayFrom(
        eb
          .selectFrom('rate_card')
          .select(['rate_card.effective_from', 'rate_card.rates'])
          .whereRef('rate_card.model', '=', 'model.name')
          .orderBy('rate_card.effective_from'),
      ).as('rate_cards'),
    ])
    .orderBy('model.name');
  if (name !== undefined) query = query.where('model.name', '=', name);
  const rows = await query.execute();
  return rows.map((row) => {
    const targets = row.routes.map(decodeTarget);
    return {
      name: row.name,
      routes: targets.map((target) => target.route),
      rateCards: row.rate_cards.map(decodeRateCard),
      maxInputTokens: row.max_input_tokens === null ? null : Number(row.max_input_tokens),
      maxOutputTokens: row.max_output_tokens === null ? null : Number(row.max_output_tokens),
      createdAt: row.created_at,
      targets,
    };
  });
}

export function putModel(
  db: Kysely<Schema>,
  model: NewModel,
  audit: AuditEntry,
  at: Date,
): Promise<ServedModel | UnknownUpstreams> {
  const bounds = { max_input_tokens: model.maxInputTokens, max_output_tokens: model.maxOutputTokens };
  return db.transaction().execute(async (trx) => {
    const unknown = await unknownUpstreams(trx, model.routes);
    if (unknown.length > 0) return { kind: 'unknown_upstreams', ids: unknown };
    // The model's row is locked from here on: two who replace it at once do so one after the other.
    await trx
      .insertInto('model')
      .values({ name: model.name, ...bounds, created_at: at, updated_at: at })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ ...bounds, updated_at: at }))
      .execute();
    await replaceRoutes(trx, model);
    if (model.rateCard !== null) await addRateCard(trx, model.name, model.rateCard, at);
    await insertAudit(trx, audit, at);
    const [served] = await selectModels(trx, model.name);
    if (served === undefined) throw new Error(`model ${model.name} was written, yet isn't there`);
    return served;
  });
}

async function unknownUpstreams(db: Kysely<Schema>, routes: readonly Route[]): Promise<UpstreamId[]> {
  const wanted = new Set(routes.map((route) => route.upstreamId));
  if (wanted.size === 0) return [];
  const rows = await db
    .selectFrom('upstream')
    .select('id')
    .where('id', 'in', [...wanted])
    .execute();
  for (const { id } of rows) wanted.delete(id as UpstreamId);
  return [...wanted];
}

async function replaceRoutes(db: Kysely<Schema>, model: NewModel): Promise<void> {
  await db.deleteFrom('route').where('model', '=', model.name).execute();
  if (model.routes.length === 0) return;
  const rows = model.routes.map((route, position) => ({
    model: model.name,
    position,
    upstream: route.upstreamId,
    upstream_model: route.upstreamModel,
    weight: route.weight,
    priority: route.priority,
    when_client_gone: route.whenClientGone,
    cost_rates: route.costRates === null ? null : JSON.stringify(encodePriceList(route.costRates)),
  }));
  await db.insertInto('route').values(rows).execute();
}

/**
 * Adds the card unless the one that it would follow has the same prices. It begins after that one even
 * where both were made in one millisecond, or the clock stepped back: cards of one millisecond differ by
 * microseconds, which a reader sees as their order. Cards announced for later stay where they are.
 */
async function addRateCard(db: Kysely<Schema>, model: string, card: RateCard, at: Date): Promise<void> {
  const rates = JSON.stringify(encodePriceList(card));
  const from = new Date(card.effectiveFromMs);
  await sql`
    INSERT INTO rate_card (model, effective_from, rates, created_at)
    SELECT ${model}::text,
      greatest(${from}::timestamptz, newest.effective_from + interval '1 microsecond'),
      ${rates}::jsonb, ${at}::timestamptz
    FROM (SELECT) AS one
    LEFT JOIN LATERAL (
      SELECT effective_from, rates FROM rate_card
      WHERE model = ${model} AND effective_from <= greatest(${from}::timestamptz, created_at + interval '1 second')
      ORDER BY effective_from DESC LIMIT 1
    ) AS newest ON true
    WHERE newest.rates IS DISTINCT FROM ${rates}::jsonb`.execute(db);
}
