import { type Kysely, sql } from 'kysely';

/**
 * Locks tables until the end of this transaction, so that nobody else reads or writes them: all of them at once, and no
 * longer than others can wait behind it. Whoever reads for minutes, a dump say, goes first, and every command would
 * queue up behind us.
 * @throws where it found no moment for ten minutes
 */
export async function lockTables(db: Kysely<unknown>, tables: readonly string[]): Promise<void> {
  const names = tables.join(', ');
  await sql`
    DO $$
    BEGIN
      FOR attempt IN 1..600 LOOP
        BEGIN
          SET LOCAL lock_timeout = '500ms';
          LOCK TABLE ${sql.raw(names)} IN ACCESS EXCLUSIVE MODE;
          SET LOCAL lock_timeout = 0;
          RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
          PERFORM pg_sleep(0.5);
        END;
      END LOOP;
      RAISE EXCEPTION '${sql.raw(tables[0] ?? '')} is read or locked by somebody for ten minutes: end that, and migrate again'
        USING ERRCODE = 'lock_not_available';
    END $$`.execute(db);
}
