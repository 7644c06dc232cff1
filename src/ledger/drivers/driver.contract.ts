import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Driver } from './driver.ts';

const values = `SELECT 9007199254740993::int8 AS int8, 1::int8 AS small, 0.100000000::numeric(20,9) AS numeric,
  '2026-03-01'::date AS date, '2026-03-01T12:34:56.789Z'::timestamptz AS timestamptz,
  '{"a": [1, "ü", null]}'::jsonb AS jsonb, '[1]'::json AS json, true AS boolean, 1.5::float8 AS float8,
  7::int4 AS int4, 'text' AS text, NULL::int8 AS nothing, 'a0000000-0000-4000-8000-000000000000'::uuid AS uuid,
  ARRAY[1, 9007199254740993]::int8[] AS int8s, ARRAY[0.10]::numeric[] AS numerics,
  ARRAY['2026-03-01']::date[] AS dates, ARRAY['x', NULL, 'a "b", {c}\\d']::text[] AS texts`;

/** What the ledger relies on in every engine. */
export function describeDriver(name: string, open: () => Promise<Driver>): void {
  describe(`the driver of ${name}`, () => {
    let driver: Driver;

    beforeAll(async () => {
      driver = await open();
    });
    afterAll(() => driver.close());

    it('returns values of the same types as every other, to statements and to the query builder', async () => {
      const expected = {
        int8: '9007199254740993',
        small: '1',
        numeric: '0.100000000',
        date: '2026-03-01',
        timestamptz: new Date('2026-03-01T12:34:56.789Z'),
        jsonb: { a: [1, 'ü', null] },
        json: [1],
        boolean: true,
        float8: 1.5,
        int4: 7,
        text: 'text',
        nothing: null,
        uuid: 'a0000000-0000-4000-8000-000000000000',
        int8s: ['1', '9007199254740993'],
        numerics: ['0.10'],
        dates: ['2026-03-01'],
        texts: ['x', null, 'a "b", {c}\\d'],
      };
      expect(await driver.query(values, [])).toEqual([expected]);
      expect((await sql.raw(values).execute(driver.db)).rows).toEqual([expected]);
    });

    it('takes parameters as arrays of texts, numbers, booleans and nulls, and times as Date', async () => {
      const parameters = [
        ['plain', null, 'a "b", {c}\\d', '', 'null', 'ü€😀'],
        [1, 9007199254740991, null],
        [0.5, 1e-7],
        [true, false, null],
        ['9223372036854775807'],
        new Date('2026-03-01T12:34:56.789Z'),
      ];
      const statement = `SELECT $1::text[] AS texts, $2::bigint[] AS whole, $3::float8[] AS floats,
        $4::boolean[] AS booleans, $5::bigint[] AS large, $6::timestamptz AS at`;
      expect(await driver.query(statement, parameters)).toEqual([
        {
          texts: parameters[0],
          whole: ['1', '9007199254740991', null],
          floats: [0.5, 1e-7],
          booleans: [true, false, null],
          large: ['9223372036854775807'],
          at: parameters[5],
        },
      ]);
    });

    it('refuses what the engine refuses by its SQLSTATE, and goes on', async () => {
      const refused = async (statement: string, parameters: readonly unknown[] = []) =>
        await driver.query(statement, parameters).then(
          () => 'done',
          (error) => [error.name, error.sqlState],
        );
      expect(await refused('SELECT 1 / $1::int', [0])).toEqual(['SqlError', '22012']);
      expect(await refused('SELEC 1')).toEqual(['SqlError', '42601']);
      expect(await refused('SELECT $1::text', ['a\u0000b'])).toEqual(['SqlError', '22021']);
      expect(await refused('SELECT nothing FROM nowhere')).toEqual(['SqlError', '42P01']);
      expect(await driver.query('SELECT 1 AS one', [])).toEqual([{ one: 1 }]);
    });

    it('refuses through the query builder in the same way', async () => {
      const insert = driver.db.insertInto('tenant').values({ tenant_id: 'twice', name: 'x' });
      await insert.execute();
      await expect(insert.execute()).rejects.toMatchObject({ name: 'SqlError', sqlState: '23505' });
    });

    it('leaves nothing of a transaction that failed', async () => {
      const attempt = driver.db.transaction().execute(async (trx) => {
        await trx.insertInto('tenant').values({ tenant_id: 'undone', name: 'x' }).execute();
        throw new Error('after all');
      });
      await expect(attempt).rejects.toThrow('after all');
      expect(await driver.query(`SELECT FROM tenant WHERE tenant_id = 'undone'`, [])).toEqual([]);
    });
  });
}
