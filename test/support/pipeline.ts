import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { type Catalog, unlimitedApiKey } from '../../src/catalog/catalog.ts';
import { createSqlCatalog } from '../../src/catalog/sql-catalog.ts';
import type { StreamContext } from '../../src/dialects/dialect.ts';
import { openaiChat } from '../../src/dialects/openai-chat/index.ts';
import { type Clock, systemClock, type Timers } from '../../src/domain/clock.ts';
import {
  type ApiKeyId,
  hashRequest,
  hashSecret,
  type InstanceId,
  newSecret,
  type TenantId,
  type TraceId,
  type TransactionId,
  type UpstreamId,
} from '../../src/domain/ids.ts';
import { nano, parseAmount, parseRate } from '../../src/domain/money.ts';
import { quirksOf } from '../../src/domain/quirks.ts';
import { createPipeline, type Pipeline, type PipelineOptions } from '../../src/gateway/pipeline.ts';
import type { Client, ResponseHead } from '../../src/gateway/request.ts';
import type { HotState } from '../../src/hot-state/hot-state.ts';
import { createMemoryHotState } from '../../src/hot-state/memory.ts';
import type { Driver } from '../../src/ledger/drivers/driver.ts';
import { openPglite } from '../../src/ledger/drivers/pglite.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createSqlLedger } from '../../src/ledger/sql-ledger.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { createLearningTokenizer } from '../../src/tokenizer/learning-tokenizer.ts';
import { createThreadedTokenizer } from '../../src/tokenizer/threaded-tokenizer.ts';
import { createUndiciClient } from '../../src/upstream/undici-client.ts';
import type { UpstreamClient } from '../../src/upstream/upstream.ts';
import { quietObserver } from './quiet-observer.ts';
import { newDataDir } from './template.ts';

export interface TestTenant {
  readonly id: TenantId;
  readonly apiKey: string;
}

/** The real parts of a gateway but for its socket, so that a test can stand between them. */
export interface TestParts {
  readonly driver: Driver;
  readonly ledger: Ledger;
  readonly hotState: HotState;
  readonly simulator: Simulator;
  readonly faults: string[];
  /** Tenants and API keys as they are, and every name as a model of the simulator. */
  readonly catalog: Catalog;
  /** A pipeline whose ledger and hot state may be wrapped. */
  pipeline(changes?: Partial<PipelineOptions>): Pipeline;
  addTenant(balance?: string): Promise<TestTenant>;
  close(): Promise<void>;
}

export const rates = { input: parseRate('0.001', 1000), output: parseRate('0.002', 1000) };

export async function openParts(clock: Clock & Timers = systemClock): Promise<TestParts> {
  const dataDir = await newDataDir();
  const driver = await openPglite(dataDir.path);
  const ledger = createSqlLedger({ driver });
  const hotState = createMemoryHotState({ clock });
  const simulator = await startSimulator();
  const catalog = createSqlCatalog({ db: driver.db });
  const upstreams = createUndiciClient();
  const tokenizer = createLearningTokenizer({
    counter: createThreadedTokenizer(),
    store: { load: async () => [], save: async () => undefined },
    known: [],
    onAccuracy: () => undefined,
    onFault: () => undefined,
  });
  const faults: string[] = [];
  const audit = { actor: 'test', action: 'test', subject: 'test', detail: {} };
  await catalog.putUpstream(
    {
      id: 'sim' as UpstreamId,
      provider: 'sim',
      dialects: ['openai.chat'],
      baseUrl: simulator.url,
      credential: null,
      headersTimeoutMs: 5_000,
      idleTimeoutMs: 5_000,
      quirkOverrides: {},
    },
    audit,
  );
  const served: Catalog = {
    findApiKey: catalog.findApiKey,
    listModels: catalog.listModels,
    findPrice: catalog.findPrice,
    // Every name is a model: the simulator with these directives.
    findModel: async (name) => {
      const [upstream] = await catalog.listUpstreams();
      if (upstream === undefined) throw new Error('the upstream is gone');
      const route = {
        upstreamId: upstream.id,
        upstreamModel: name,
        weight: 1,
        priority: 0,
        whenClientGone: 'cancel' as const,
        costRates: null,
      };
      return {
        name,
        routes: [route],
        targets: [{ route, upstream }],
        rateCards: [{ effectiveFromMs: 0, rates }],
        maxInputTokens: 1000,
        maxOutputTokens: 4096,
        createdAt: new Date(),
      };
    },
  };
  return {
    driver,
    ledger,
    hotState,
    simulator,
    faults,
    catalog: served,
    pipeline: (changes = {}) =>
      createPipeline({
        catalog: served,
        hotState,
        ledger,
        upstreams,
        readCredential: (stored) => stored,
        tokenizer,
        observer: {
          ...quietObserver,
          fault: (what, error) => faults.push(`${what}: ${(error as Error).message}`),
        },
        clock,
        newId: randomUUIDv7,
        random: Math.random,
        lease: { owner: 'test' as InstanceId, isValid: () => true, renewed: async () => true },
        ...changes,
      }),
    addTenant: async (balance = '100') => {
      const id = `tenant-${randomUUIDv7()}` as TenantId;
      await catalog.createTenant(
        {
          id,
          name: 'test',
          currency: 'USD',
          timeZone: 'UTC',
          creditLimit: nano(0n),
          dailyQuota: null,
          monthlyQuota: null,
          rpmLimit: null,
          tpmLimit: null,
          rateMultiplierPpm: 1_000_000n,
          maxOpenRequests: null,
          blockOnInsufficient: null,
          allowNegative: null,
          streamAllowNegative: null,
          warningThresholds: null,
        },
        audit,
      );
      await ledger.credit({
        id: randomUUIDv7() as TransactionId,
        tenantId: id,
        traceId: 'opening' as TraceId,
        requestHash: hashRequest('opening'),
        type: 'TOPUP',
        amount: parseAmount(balance),
        description: null,
      });
      const secret = newSecret('tg');
      await catalog.createApiKey(
        {
          id: randomUUIDv7() as ApiKeyId,
          tenantId: id,
          name: 'test',
          secretHash: hashSecret(secret),
          prefix: 'tg_',
          ...unlimitedApiKey,
        },
        audit,
      );
      return { id, apiKey: secret };
    },
    close: async () => {
      await tokenizer.close();
      await upstreams.close();
      await simulator.close();
      await driver.close();
      await dataDir.remove();
    },
  };
}

/** The parts for one test file, with a tenant of 100 and no faults for each test. */
export function useParts(): { readonly parts: TestParts; readonly tenant: TestTenant } {
  let parts: TestParts | undefined;
  let tenant: TestTenant | undefined;
  beforeAll(async () => {
    parts = await openParts();
  });
  afterAll(() => parts?.close());
  beforeEach(async () => {
    tenant = await parts?.addTenant();
    parts?.faults.splice(0);
  });
  return {
    get parts() {
      return parts!;
    },
    get tenant() {
      return tenant!;
    },
  };
}

/** What a client has got, in the order in which it did. */
export class RecordedClient implements Client {
  readonly #gone = new AbortController();
  head: ResponseHead | null = null;
  text = '';
  end_: 'ended' | 'abandoned' | null = null;

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  get code(): string | null {
    return this.head?.kind === 'refusal' ? this.head.refusal.code : null;
  }

  hangUp(): void {
    this.#gone.abort();
  }

  start(head: ResponseHead): void {
    if (this.head !== null) throw new Error('an answer has one head');
    this.head = head;
  }

  write(bytes: Buffer): boolean {
    if (this.head === null || this.end_ !== null) throw new Error('bytes outside of an answer');
    this.text += bytes.toString();
    return true;
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  end(bytes?: Buffer): void {
    if (this.head === null || this.end_ !== null) throw new Error('an answer ends once');
    this.text += bytes?.toString() ?? '';
    this.end_ = 'ended';
  }

  abandon(): void {
    this.end_ = 'abandoned';
  }
}

function withDefaults(directives: string): string {
  const given = new URLSearchParams(directives);
  for (const [name, value] of [
    ['tokens', '20'],
    ['ttfb_ms', '0'],
    ['tokens_per_second', '0'],
  ] as const) {
    if (!given.has(name)) given.set(name, value);
  }
  return decodeURIComponent(given.toString());
}

export function requestOf(apiKey: string, directives: string, changes: object = {}, headers: object = {}) {
  return {
    dialect: openaiChat,
    headers: { authorization: `Bearer ${apiKey}`, ...headers },
    address: '127.0.0.1',
    call: {
      path: '/v1/chat/completions',
      query: new URLSearchParams(),
      body: Buffer.from(
        JSON.stringify({
          model: `sim?${withDefaults(directives)}`,
          messages: [{ role: 'user', content: 'Tell me of the sea.' }],
          ...changes,
        }),
      ),
    },
    arrivedAtMs: performance.now(),
    spans: null,
  };
}

/** What a stream's meter is told of a chat completion whose client didn't ask for usage. */
export function streamContext(): StreamContext {
  const request = openaiChat.readRequest(requestOf('', '', { stream: true }).call);
  if (request.kind === 'refused') throw new Error(request.message);
  return { quirks: quirksOf('sim'), request, contentType: 'text/event-stream' };
}

/** Waits, bounded, for what happens on another way than the one that is awaited. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (await condition()) return;
    await sleep(10);
  }
  throw new Error('it never came to be');
}

/** An upstream that answers with exactly this. */
export function answering(
  status: number,
  headers: Record<string, string>,
  ...chunks: readonly string[]
): UpstreamClient {
  return {
    send: async () => ({
      kind: 'response',
      status,
      headers,
      body: (async function* () {
        for (const chunk of chunks) yield Buffer.from(chunk);
      })(),
    }),
    close: async () => undefined,
  };
}

/** The ledger with one method that waits, before or after its work, until the test opens the gate. */
export function gated(ledger: Ledger, method: 'createPending' | 'commitPending', when: 'before' | 'after') {
  const { promise: passed, resolve: open } = Promise.withResolvers<void>();
  const wait = <Argument, Answer>(work: (argument: Argument) => Promise<Answer>) => {
    return async (argument: Argument): Promise<Answer> => {
      if (when === 'before') await passed;
      const answer = await work(argument);
      await passed;
      return answer;
    };
  };
  const gatedMethod =
    method === 'createPending'
      ? { createPending: wait(ledger.createPending) }
      : { commitPending: wait(ledger.commitPending) };
  return { ledger: { ...ledger, ...gatedMethod } satisfies Ledger, open };
}

/** What ledger and hot state know of a tenant; `rows` are all but its opening balance, newest first. */
export async function stateOf(parts: TestParts, tenantId: TenantId) {
  const snapshot = await parts.ledger.snapshot(tenantId);
  if (snapshot.kind !== 'snapshot') throw new Error('no such tenant');
  const hot = await parts.hotState.look(tenantId);
  return {
    balance: snapshot.projection.balance,
    open: snapshot.openPendings.length,
    held: hot?.held,
    hotBalance: hot?.projection.balance,
    rows: (await parts.ledger.list({ tenantId, limit: 100 })).slice(0, -1),
  };
}
