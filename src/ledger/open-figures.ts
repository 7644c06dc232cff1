import { type Kysely, sql } from 'kysely';
import { type NanoUsd, parseAmount } from '../domain/money.ts';
import type { Schema } from './schema.ts';

/** All open transactions of the ledger together. */
export interface OpenFigures {
  readonly pending: number;
  readonly held: NanoUsd;
  /** By the ledger's clock; 0 where none is open. */
  readonly oldestSeconds: number;
}

/**
 * By an index that has the open ones alone.
 * @throws Fault LEDGER_UNAVAILABLE when the engine can't be reached
 */
export async function openFigures(db: Kysely<Schema>): Promise<OpenFigures> {
  const { rows } = await sql<{ pending: string; held: string; oldest_seconds: number }>`
    SELECT
      count(*)::text AS pending,
      COALESCE(sum(hold_amount), 0)::text AS held,
      COALESCE(EXTRACT(EPOCH FROM now() - min(created_at)), 0)::double precision AS oldest_seconds
    FROM billing_transaction
    WHERE status = 'PENDING'`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error('an aggregate without a row');
  return {
    pending: Number(row.pending),
    held: parseAmount(row.held),
    oldestSeconds: Math.max(0, row.oldest_seconds),
  };
}
