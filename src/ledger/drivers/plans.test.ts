import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { type CompiledQuery, Kysely, PostgresDialect } from 'kysely';
import { Client, Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDatabase, newDataDir } from '../../../test/support/template.ts';
import type { TraceId } from '../../domain/ids.ts';
import type { Schema } from '../schema.ts';
import { readStatements } from '../sql/statements.ts';
import { createSqlLedger } from '../sql-ledger.ts';
import { openPostgres } from './postgres.ts';
import { planningSettings, setUpSession } from './postgres-session.ts';

/** A node of a plan, as EXPLAIN tells it. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Cond'?: string;
  readonly Plans?: readonly PlanNode[];
}

/** The tables that grow, with the columns by which a statement has to look a row up. */
const keys: Readonly<Record<string, readonly string[][]>> = {
  tenant: [['tenant_id']],
  tenant_quota: [['tenant_id']],
  billing_transaction: [['tenant_id', 'id'], ['tenant_id', 'trace_id'], ['id']],
  api_key_quota: [['tenant_id', 'api_key_id']],
};

const scans: readonly string[] = ['Index Scan', 'Index Only Scan'];
const statements = readStatements();
const byKeys = [
  'createPending',
  'commitPending',
  'voidPending',
  'post',
  'findByTrace',
  'checkpoint',
] as const;

function* nodesOf(node: PlanNode): Generator<PlanNode> {
  yield node;
  for (const child of node.Plans ?? []) yield* nodesOf(child);
}

/** By equality, or by a range of one. */
const isLookedUpBy = (condition: string, columns: readonly string[]) =>
  columns.every((column) =>
    new RegExp(`\\(${column} (= |>= (\\w+\\.${column})\\) AND \\(${column} <= \\2\\))`).test(condition),
  );

function wrongIn(plan: PlanNode): string[] {
  return [...nodesOf(plan)].flatMap((node) => {
    const { 'Node Type': type, 'Relation Name': table = '', 'Index Cond': condition = '' } = node;
    if (/Hash Join|Merge Join|Seq Scan|Bitmap/.test(type)) return [`${type} ${table}`];
    if (!scans.includes(type)) return [];
    const isLookUp = keys[table]?.some((columns) => isLookedUpBy(condition, columns));
    return isLookUp === true ? [] : [`${type} of ${table} where ${condition}`];
  });
}

/** A session of an engine, with a ledger of its own, that plans by keys. */
interface Session {
  ask(statement: string): Promise<readonly Record<string, unknown>[]>;
  close(): Promise<void>;
}

const engines: Readonly<Record<string, () => Promise<Session>>> = {
  Postgres: async () => {
    const database = await newDatabase();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await setUpSession(client, {
      statementTimeoutMs: null,
      lockTimeoutMs: null,
      planning: 'by keys',
      withinMs: 5_000,
    });
    return {
      ask: async (statement) => (await client.query(statement)).rows,
      close: async () => {
        await client.end();
        await database.remove();
      },
    };
  },
  PGlite: async () => {
    const dataDir = await newDataDir();
    const pglite = await PGlite.create(join(dataDir.path, 'ledger'));
    await pglite.exec(planningSettings['by keys']);
    return {
      ask: async (statement) => (await pglite.query<Record<string, unknown>>(statement)).rows,
      close: async () => {
        await pglite.close();
        await dataDir.remove();
      },
    };
  },
};

async function planOf({ ask }: Session, name: string, text: string): Promise<PlanNode> {
  await ask(`PREPARE "${name}" AS ${text}`);
  const [prepared] = await ask(
    `SELECT cardinality(parameter_types) AS count FROM pg_prepared_statements WHERE name = '${name}'`,
  );
  const nothings = Array.from({ length: Number(prepared?.count) }, () => `'{}'`).join(', ');
  const [explained] = await ask(`EXPLAIN (FORMAT JSON) EXECUTE "${name}" (${nothings})`);
  const told = explained?.['QUERY PLAN'] as readonly { readonly Plan: PlanNode }[];
  return told[0]!.Plan;
}

const states = [
  { ledger: 'nothing, and no statistics', filling: 'SELECT 1' },
  { ledger: 'nothing, and statistics that say so', filling: 'VACUUM ANALYZE' },
  {
    ledger: 'one tenant, and statistics that say so',
    filling: `INSERT INTO tenant (tenant_id, name) VALUES ('t', 'x');
      INSERT INTO tenant_quota (tenant_id, currency, time_zone) VALUES ('t', 'USD', 'UTC');
      ANALYZE`,
  },
  {
    ledger: 'one tenant with many transactions, open and closed',
    filling: `INSERT INTO tenant (tenant_id, name) VALUES ('t', 'x');
      INSERT INTO tenant_quota (tenant_id, currency, time_zone) VALUES ('t', 'USD', 'UTC');
      INSERT INTO billing_transaction (tenant_id, id, trace_id, type, status, currency, request_hash, expires_at, owner, hold_amount)
      SELECT 't', gen_random_uuid(), i::text, 'CHARGE', CASE i % 2 WHEN 0 THEN 'PENDING' ELSE 'VOIDED' END, 'USD', 'h', now(), 'o', 1
      FROM generate_series(1, 20000) i;
      ANALYZE`,
  },
  ...[18_000, 22_000, 100_000].map((count) => ({
    ledger: `${count} tenants whose trace ids are long, with a transaction each`,
    filling: `INSERT INTO billing_transaction (tenant_id, id, trace_id, type, status, currency, request_hash)
      SELECT 'tenant-' || i, gen_random_uuid(), gen_random_uuid()::text, 'CHARGE', 'VOIDED', 'USD', 'h' FROM generate_series(1, ${count}) i;
      ANALYZE`,
  })),
  ...[10, 130, 150, 170, 190, 210, 250, 1_000].map((count) => ({
    ledger: `${count} transactions of as many tenants, and no statistics`,
    filling: `INSERT INTO billing_transaction (tenant_id, id, trace_id, type, status, currency, request_hash)
      SELECT 'tenant-' || i, gen_random_uuid(), gen_random_uuid()::text, 'CHARGE', 'VOIDED', 'USD', 'h' FROM generate_series(1, ${count}) i`,
  })),
  {
    ledger: 'many tenants with a transaction each',
    filling: `INSERT INTO tenant (tenant_id, name) SELECT i::text, 'x' FROM generate_series(1, 20000) i;
      INSERT INTO tenant_quota (tenant_id, currency, time_zone) SELECT tenant_id, 'USD', 'UTC' FROM tenant;
      INSERT INTO billing_transaction (tenant_id, id, trace_id, type, status, currency, request_hash, expires_at, owner, hold_amount)
      SELECT tenant_id, gen_random_uuid(), 'x', 'CHARGE', 'PENDING', 'USD', 'h', now(), 'o', 1 FROM tenant;
      ANALYZE`,
  },
];

describe.each(Object.keys(engines).flatMap((engine) => states.map((state) => ({ engine, ...state }))))(
  'in $engine with a ledger of $ledger',
  ({ engine, filling }) => {
    let session: Session;

    beforeAll(async () => {
      session = await engines[engine]!();
      for (const statement of filling.split(';')) await session.ask(statement);
    });
    afterAll(() => session.close());

    it.each(byKeys)('%s looks up every row by its key', async (name) => {
      expect(wrongIn(await planOf(session, name, statements[name]))).toEqual([]);
    });
  },
);

it('a list by trace id alone looks it up, however many transactions there are', async () => {
  const database = await newDatabase();
  const driver = await openPostgres({ url: database.url });
  const asked: CompiledQuery[] = [];
  const dialect = new PostgresDialect({ pool: new Pool({ connectionString: database.url }) });
  const db = new Kysely<Schema>({ dialect, log: ({ query }) => void asked.push(query) });
  try {
    const filling = states.at(-1)!.filling.replace("gen_random_uuid(), 'x'", 'gen_random_uuid(), tenant_id');
    for (const statement of filling.split(';')) await driver.query(statement, []);
    const found = await createSqlLedger({ driver: { ...driver, db } }).list({
      traceId: '17' as TraceId,
      limit: 10,
    });
    expect(found.map(({ tenantId }) => tenantId)).toEqual(['17']);
    const [{ sql: text, parameters }] = asked as [CompiledQuery];
    const explained = await driver.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
      `EXPLAIN (FORMAT JSON) ${text}`,
      parameters,
    );
    const nodes = explained.flatMap(({ 'QUERY PLAN': [{ Plan }] }) => [...nodesOf(Plan)]);
    expect(nodes.flatMap((node) => node['Index Cond'] ?? [])).toEqual(["(trace_id = '17'::text)"]);
  } finally {
    await db.destroy();
    await driver.close();
    await database.remove();
  }
});
