import { randomUUIDv7 } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { createAdminCalls } from '../../src/admin/admin-calls.ts';
import { webhookCalls } from '../../src/admin/webhooks.ts';
import { type CachedCatalog, createCachedCatalog } from '../../src/catalog/cached-catalog.ts';
import type { CatalogStore } from '../../src/catalog/catalog.ts';
import { createSqlCatalog } from '../../src/catalog/sql-catalog.ts';
import { dialects } from '../../src/dialects/dialects.ts';
import { hashSecret, newSecret } from '../../src/domain/ids.ts';
import type { HotState } from '../../src/hot-state/hot-state.ts';
import { createMemoryHotState } from '../../src/hot-state/memory.ts';
import { adminPlane } from '../../src/http/admin-plane.ts';
import type { Driver } from '../../src/ledger/drivers/driver.ts';
import { openPglite } from '../../src/ledger/drivers/pglite.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { migrate } from '../../src/ledger/migrations/migrations.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import { createSqlOutbox } from '../../src/outbox/sql-outbox.ts';
import { createSqlWebhooks } from '../../src/outbox/sql-webhooks.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests read answers as they come, and expect() checks them.
export type AnyJson = any;

export interface Answer {
  readonly status: number;
  readonly body: AnyJson;
}

export interface SendOptions {
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The admin plane on the real embedded ledger and memory hot state, asked without a socket. */
export interface TestPlane {
  readonly app: FastifyInstance;
  readonly token: string;
  readonly driver: Driver;
  readonly ledger: Ledger;
  readonly store: CatalogStore;
  readonly catalog: CachedCatalog;
  readonly hotState: HotState;
  /** Every fault that a projection had. */
  readonly projectionFailures: unknown[];
  /** Where a test sets it, the clock stands still. */
  readonly time: { nowMs: number | null };
  send(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    options?: SendOptions,
  ): Promise<Answer>;
  /** Sends and expects success. */
  make(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    options?: SendOptions,
  ): Promise<AnyJson>;
  /** Actions recorded of a subject, newest first. */
  auditOf(subject: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface TestPlaneOptions {
  /** Stands between the calls and a store, to break what a test wants broken. */
  readonly wrapHotState?: (hotState: HotState) => HotState;
  readonly wrapLedger?: (ledger: Ledger) => Ledger;
  readonly wrapStore?: (store: CatalogStore) => CatalogStore;
}

export async function openTestPlane(options: TestPlaneOptions = {}): Promise<TestPlane> {
  const dataDir = await mkdtemp(join(tmpdir(), 'tollgate-admin-'));
  const driver = await openPglite(dataDir);
  await migrate(driver.db);
  const time: TestPlane['time'] = { nowMs: null };
  const clock = { now: () => time.nowMs ?? Date.now(), monotonic: () => performance.now() };
  const store = createSqlCatalog({ db: driver.db, clock });
  const ledger = createSqlLedger({ driver });
  const hotState = createMemoryHotState({ clock });
  const catalog = createCachedCatalog({ store, clock, maxAgeMs: 60_000, maxApiKeys: 1_000 });
  const token = newSecret('tga');
  await store.createAdminToken('ada', hashSecret(token));
  const projectionFailures: unknown[] = [];
  const dependencies = {
    catalog: options.wrapStore?.(store) ?? store,
    dialectNames: [...new Set(dialects.map(({ name }) => name))],
    ledger: options.wrapLedger?.(ledger) ?? ledger,
    hotState: options.wrapHotState?.(hotState) ?? hotState,
    clock,
    newId: randomUUIDv7,
    onProjectionFailed: (error: unknown) => void projectionFailures.push(error),
  };
  const calls = [
    ...createAdminCalls(dependencies),
    ...webhookCalls({
      ...dependencies,
      webhooks: createSqlWebhooks(driver.db),
      outbox: createSqlOutbox(driver.db),
    }),
  ];
  const app = Fastify({ routerOptions: { maxParamLength: 500 } });
  await app.register(
    adminPlane({
      calls,
      admins: catalog,
      newId: randomUUIDv7,
      onFault: () => undefined,
      onCatalogChange: () => catalog.invalidate(),
    }),
  );

  const send: TestPlane['send'] = async (method, path, body, { idempotencyKey, headers = {} } = {}) => {
    const response = await app.inject({
      method,
      url: `/admin/v1${path}`,
      headers: {
        authorization: `Bearer ${token}`,
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: body as object }),
    });
    return { status: response.statusCode, body: response.body === '' ? undefined : response.json() };
  };
  return {
    app,
    token,
    driver,
    ledger,
    store,
    catalog,
    hotState,
    projectionFailures,
    time,
    send,
    make: async (method, path, body, sendOptions) => {
      const answer = await send(method, path, body, sendOptions);
      if (answer.status >= 300) {
        throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      }
      return answer.body;
    },
    auditOf: async (subject) => (await store.listAudit({ subject, limit: 100 })).map((entry) => entry.action),
    close: async () => {
      await app.close();
      await driver.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
