import { type Kysely, sql } from 'kysely';

/** Long enough for whoever commits; whoever wants one of the tables meanwhile waits for so long. */
const tryMs = 200;
/** In between everybody goes on. */
const pauseMs = 1_800;

/**
 * Locks tables until the end of this transaction, so that nobody else reads or writes them. Whoever reads for minutes, a
 * dump say, goes first, and nobody has to wait behind both of us: it is tried for a moment, again and again.
 * @throws where it found no such moment: SqlError that names the table, ten minutes later unless told otherwise
 */
export async function lockTables<S>(
  db: Kysely<S>,
  tables: readonly string[],
  withinMs = 10 * 60_000,
): Promise<void> {
  const all = sql.join(tables.map((name) => sql.id(name)));
  const tries = sql.lit(Math.ceil(withinMs / (tryMs + pauseMs)));
  // The first lock is in nobody's way but a vacuum's, of which an automatic one is ended for it after a second.
  await sql`
    DO $$
    DECLARE
      until timestamptz;
      wanted text;
    BEGIN
      LOCK TABLE ${all} IN SHARE UPDATE EXCLUSIVE MODE;
      FOR attempt IN 1..${tries} LOOP
        until := clock_timestamp() + ${sql.lit(tryMs)} * interval '1 millisecond';
        BEGIN
          FOREACH wanted IN ARRAY ARRAY[${sql.join(tables.map((name) => sql.lit(name)))}] LOOP
            PERFORM set_config(
              'lock_timeout',
              greatest(1, extract(epoch FROM until - clock_timestamp()) * 1000)::integer::text, true
            );
            EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', wanted);
          END LOOP;
          SET LOCAL lock_timeout = 0;
          RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
          PERFORM pg_sleep(${sql.lit(pauseMs / 1_000)});
        END;
      END LOOP;
      RAISE EXCEPTION '% is read or locked by somebody all the time: end that, and migrate again', wanted
        USING ERRCODE = 'object_in_use';
    END $$`.execute(db);
}
