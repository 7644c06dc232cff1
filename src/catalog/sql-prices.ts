import type { Kysely, Selectable } from 'kysely';
import { decodePriceList, encodePriceList } from '../domain/price-list-json.ts';
import type { Schema } from '../ledger/schema.ts';
import type { AuditEntry, BookPrice, PublishedPrice } from './catalog.ts';
import { insertAudit } from './sql-audit.ts';

/** So many rows go into one statement: each has seven parameters, and a statement takes 65,535. */
const rowsPerStatement = 1_000;

const numberOrNull = (value: string | null) => (value === null ? null : Number(value));

function decodePrice(row: Selectable<Schema['book_price']>): PublishedPrice {
  return {
    provider: row.provider,
    model: row.model,
    prices: decodePriceList(row.prices),
    maxInputTokens: numberOrNull(row.max_input_tokens),
    maxOutputTokens: numberOrNull(row.max_output_tokens),
    source: row.source,
  };
}

export async function selectPrice(
  db: Kysely<Schema>,
  provider: string,
  model: string,
): Promise<BookPrice | undefined> {
  const row = await db
    .selectFrom('book_price')
    .selectAll()
    .where('provider', '=', provider)
    .where('model', '=', model)
    .executeTakeFirst();
  return row === undefined ? undefined : decodePrice(row);
}

export async function selectPrices(db: Kysely<Schema>): Promise<readonly PublishedPrice[]> {
  const rows = await db.selectFrom('book_price').selectAll().orderBy('provider').orderBy('model').execute();
  return rows.map(decodePrice);
}

/** All of them or none. */
export function putPrices(
  db: Kysely<Schema>,
  prices: readonly PublishedPrice[],
  audit: AuditEntry,
  at: Date,
): Promise<void> {
  return db.transaction().execute(async (trx) => {
    for (let from = 0; from < prices.length; from += rowsPerStatement) {
      const rows = prices.slice(from, from + rowsPerStatement).map((price) => ({
        provider: price.provider,
        model: price.model,
        prices: JSON.stringify(encodePriceList(price.prices)),
        max_input_tokens: price.maxInputTokens,
        max_output_tokens: price.maxOutputTokens,
        source: price.source,
        updated_at: at,
      }));
      await trx
        .insertInto('book_price')
        .values(rows)
        .onConflict((conflict) =>
          conflict.columns(['provider', 'model']).doUpdateSet((eb) => ({
            prices: eb.ref('excluded.prices'),
            max_input_tokens: eb.ref('excluded.max_input_tokens'),
            max_output_tokens: eb.ref('excluded.max_output_tokens'),
            source: eb.ref('excluded.source'),
            updated_at: eb.ref('excluded.updated_at'),
          })),
        )
        .execute();
    }
    await insertAudit(trx, audit, at);
  });
}
