import type { Kysely } from 'kysely';
import type { Schema } from '../ledger/schema.ts';
import type { FactorStore } from '../tokenizer/factor-store.ts';

/** The table has one row per model and side, and no history: a factor is learned anew in a few dozen answers. */
export function createSqlFactorStore({ db }: { readonly db: Kysely<Schema> }): FactorStore {
  return {
    load: async (most) => {
      const rows = await db
        .selectFrom('token_factor')
        .select(['model', 'side', 'factor_ppm', 'samples'])
        .orderBy('updated_at', 'desc')
        .orderBy('model')
        .limit(most)
        .execute();
      return rows.map((row) => ({
        model: row.model,
        side: row.side === 'input' ? 'input' : 'output',
        factorPpm: Number(row.factor_ppm),
        samples: Number(row.samples),
      }));
    },
    save: async (factors) => {
      // SQL text holds no NUL; a model whose name has one is learned again after a restart.
      const rows = factors
        .filter(({ model }) => !model.includes('\0'))
        .map(({ model, side, factorPpm, samples }) => ({
          model,
          side,
          factor_ppm: factorPpm,
          samples,
          updated_at: new Date(),
        }));
      if (rows.length === 0) return;
      await db
        .insertInto('token_factor')
        .values(rows)
        .onConflict((conflict) =>
          conflict
            .columns(['model', 'side'])
            .doUpdateSet((eb) => ({
              factor_ppm: eb.ref('excluded.factor_ppm'),
              samples: eb.ref('excluded.samples'),
              updated_at: eb.ref('excluded.updated_at'),
            }))
            .whereRef('excluded.samples', '>=', 'token_factor.samples'),
        )
        .execute();
    },
  };
}
