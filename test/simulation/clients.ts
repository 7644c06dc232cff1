import { hash } from 'node:crypto';
import type { Dialect } from '../../src/dialects/dialect.ts';
import { Connection } from './connection.ts';
import type { Gateway } from './gateway.ts';
import type { Mirror, MirrorRow } from './mirror.ts';
import { modelName, type SimulatedTenant } from './tenants.ts';
import type { World } from './world.ts';

/** What a client asks for, under one label that nobody else uses. */
export interface Asked {
  readonly label: string;
  readonly tenant: SimulatedTenant;
  /** The client's own trace id; null where it leaves it to the gateway. */
  readonly idempotencyKey: string | null;
  readonly body: Buffer;
  readonly requestHash: string;
  readonly stream: boolean;
}

/** One request on one connection. */
export interface Attempt {
  readonly asked: Asked;
  readonly gateway: Gateway;
  readonly connection: Connection;
  readonly sentAtMs: number;
  /** What the ledger had under its key when it was sent. */
  readonly rowBefore: MirrorRow | null;
}

export interface ClientsOptions {
  readonly world: World;
  readonly dialect: Dialect;
  readonly tenants: readonly SimulatedTenant[];
  readonly mirror: Mirror;
  /** Those that live now. */
  readonly gateways: () => readonly Gateway[];
}

/** So long a finished answer waits for a ledger that is away. */
const commitWaitMs = 5_000;
const retryable = new Set(['LEDGER_UNAVAILABLE', 'HOT_STATE_UNAVAILABLE', 'OVERLOADED', 'INTERNAL']);

/** Everybody who sends requests; each remembers all that it was sent. */
export class Clients {
  readonly #options: ClientsOptions;
  readonly attempts: Attempt[] = [];
  readonly outcomes = new Map<string, number>();
  /** Completed before their row was committed, after the ledger was waited for: to be committed later. */
  readonly late = new Set<Attempt>();
  #labels = 0;
  #restUntilMs = 0;
  isOver = false;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** Nobody asks anything new for so long. */
  rest(ms: number): void {
    this.#restUntilMs = this.#options.world.nowMs + ms;
  }

  /** A client that asks again and again until the faults are over. */
  start(): void {
    const { world } = this.#options;
    const restMs = Math.max(0, this.#restUntilMs - world.nowMs);
    const thinkMs = restMs + world.chance.delayMs(world.chance.pick([5, 200, 200, 3_000]));
    world.after(thinkMs, 'client', () => {
      if (this.isOver) return;
      if (this.#restUntilMs <= world.nowMs) this.#begin();
      this.start();
    });
  }

  #begin(): void {
    const { world, tenants } = this.#options;
    const { chance } = world;
    const key = chance.happens(0.4) ? `key-${this.#labels}` : null;
    const asked = this.#ask(chance.pick(tenants), key);
    this.#send(asked, 0);
    if (key === null || !chance.happens(0.3)) return;
    const delayMs = chance.delayMs(chance.pick([0, 1, 20, 500]));
    world.after(delayMs, 'client repeats', () => this.#send(this.#again(asked), 0));
  }

  /** The same once more, or under the same key something else. */
  #again(asked: Asked): Asked {
    return this.#options.world.chance.happens(0.2) ? this.#ask(asked.tenant, asked.idempotencyKey) : asked;
  }

  #ask(tenant: SimulatedTenant, idempotencyKey: string | null): Asked {
    const { chance } = this.#options.world;
    const label = `q${this.#labels++}`;
    const stream = chance.happens(0.65);
    const body = Buffer.from(
      JSON.stringify({
        model: modelName,
        messages: [{ role: 'user', content: `${label} ${'tell me '.repeat(chance.whole(1, 60))}` }],
        ...(stream ? { stream } : {}),
        ...(chance.happens(0.3) ? { max_tokens: chance.whole(1, 900) } : {}),
      }),
    );
    const requestHash = hashOf(this.#options.dialect.name, body);
    return { label, tenant, idempotencyKey, body, requestHash, stream };
  }

  #send(asked: Asked, tries: number): void {
    const { world, mirror, dialect } = this.#options;
    const { chance } = world;
    const gateways = this.#options.gateways();
    if (gateways.length === 0 || this.isOver) return;
    const gateway = chance.pick(gateways);
    const { process } = gateway;
    const key = asked.idempotencyKey;
    const rowBefore = key === null ? null : (mirror.ofTrace(asked.tenant.id, key)[0] ?? null);
    const connection = new Connection({
      world,
      process,
      stall: chance.happens(0.06)
        ? { afterBytes: chance.whole(0, 800), ms: chance.pick([50, 2_000, 30_000]) }
        : null,
      onBytes: () => this.#delivered(attempt),
      onComplete: () => this.#completed(attempt),
      onEnd: () => this.#ended(attempt, tries),
    });
    const attempt: Attempt = { asked, gateway, connection, sentAtMs: world.nowMs, rowBefore };
    this.attempts.push(attempt);
    world.note(`  ${asked.label} of ${asked.tenant.id} to ${process.name}, key ${key}`);
    process.deliver(chance.delayMs(0.5), `<- ${asked.label}`, () => {
      void gateway.pipeline.serve(
        {
          dialect,
          headers: {
            authorization: `Bearer ${asked.tenant.secret}`,
            ...(key === null ? {} : { 'idempotency-key': key }),
          },
          address: '127.0.0.1',
          call: { path: '/v1/chat/completions', query: new URLSearchParams(), body: asked.body },
          arrivedAtMs: process.clock.monotonic(),
          spans: null,
        },
        connection,
      );
    });
    if (chance.happens(0.12))
      world.after(chance.delayMs(chance.pick([2, 100, 2_000])), 'client hangs up', () => connection.hangUp());
  }

  /** The first half of invariant 6: whoever reads the ledger now finds the row of what the client has a byte of. */
  #delivered({ asked, connection }: Attempt): void {
    const { world, mirror } = this.#options;
    const transactionId = connection.header('x-billing-transaction-id');
    if (transactionId === null || !mirror.rows.has(transactionId))
      world.violated(
        'no byte is delivered before its row is durable',
        `${asked.label}, transaction ${transactionId}`,
      );
  }

  /** The second half of invariant 6: what a client takes as complete is in the ledger. */
  #completed(attempt: Attempt): void {
    const { world, mirror } = this.#options;
    const { asked, connection, gateway } = attempt;
    if (connection.status !== 200) return;
    const transactionId = connection.header('x-billing-transaction-id') ?? '';
    if (mirror.rows.get(transactionId)?.status === 'COMMITTED') return;
    const sinceMs = gateway.closingSinceMs.get(transactionId);
    if (sinceMs !== undefined && world.nowMs - sinceMs >= commitWaitMs) this.late.add(attempt);
    else world.violated('what is complete is committed', `${asked.label}, transaction ${transactionId}`);
  }

  #ended(attempt: Attempt, tries: number): void {
    const { world } = this.#options;
    const { asked, connection } = attempt;
    const what =
      connection.code ??
      (connection.status === null
        ? connection.ending
        : `${connection.status} ${connection.isComplete ? 'complete' : connection.ending}`);
    world.note(`  ${asked.label} got ${what}`);
    this.outcomes.set(String(what), (this.outcomes.get(String(what)) ?? 0) + 1);
    this.#checkRepeat(attempt);
    this.#checkRefused(attempt);
    const mayRetry =
      !connection.hasHungUp && (connection.ending === 'broken' || retryable.has(connection.code ?? ''));
    if (mayRetry && tries < 3 && asked.idempotencyKey !== null && world.chance.happens(0.7)) {
      const pauseMs = world.chance.delayMs(world.chance.pick([5, 200, 3_000]));
      world.after(pauseMs, 'client tries again', () => this.#send(this.#again(asked), tries + 1));
    }
  }

  /** Invariant 4: one key, one request. */
  #checkRepeat({ asked, connection, rowBefore }: Attempt): void {
    if (rowBefore === null) return;
    const { world } = this.#options;
    const isSame = rowBefore.requestHash === asked.requestHash;
    const { code } = connection;
    const saysTaken = code === 'REQUEST_IN_PROGRESS' || code === 'REQUEST_ALREADY_BILLED';
    if (connection.status !== null)
      world.violated('a key is used once', `${asked.label} was answered although ${rowBefore.id} was there`);
    if (isSame && code === 'IDEMPOTENCY_CONFLICT')
      world.violated('a key with the same body is no conflict', asked.label);
    if (!isSame && saysTaken) world.violated('a key with another body is a conflict', asked.label);
  }

  /** Invariant 9: what was refused is charged nothing. */
  #checkRefused({ asked, connection }: Attempt): void {
    const { world, mirror } = this.#options;
    const traceId = connection.header('x-request-id');
    if (connection.code === null || traceId === null || asked.idempotencyKey !== null) return;
    for (const row of mirror.ofTrace(asked.tenant.id, traceId))
      if (row.status === 'COMMITTED') world.violated('what is refused is charged nothing', asked.label);
  }
}

/** As the ledger keeps it, made another way. */
function hashOf(dialectName: string, body: Buffer): string {
  const start = `${Buffer.byteLength(dialectName)}:${dialectName}${body.length}:`;
  return hash('sha256', Buffer.concat([Buffer.from(start), body]));
}
