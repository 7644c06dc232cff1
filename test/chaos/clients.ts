import { setTimeout as sleep } from 'node:timers/promises';
import { parseAmount } from '../../src/domain/money.ts';
import type { AnyJson } from '../support/admin-plane.ts';
import { askAdmin } from './admin.ts';
import { type Draws, drawsFrom } from './draws.ts';
import { exchange, nowMs } from './exchange.ts';
import type { Asked, Attempt, ToppedUp } from './records.ts';
import { drawErrand, type Errand, type ErrandOptions, lastErrand } from './requests.ts';
import type { Tenant } from './world.ts';

export interface LoadOptions {
  readonly seed: number;
  readonly ports: readonly number[];
  readonly tenants: readonly Tenant[];
  readonly longTokens: ErrandOptions['longTokens'];
  /** No new request is begun after it; those that run are finished. */
  readonly ended: AbortSignal;
}

/** What the clients have written down. */
export interface Told {
  readonly asked: readonly Asked[];
  readonly toppedUp: readonly ToppedUp[];
}

/** All clients of all tenants, and the admin who tops them up, until the end. */
export async function runLoad(options: LoadOptions): Promise<Told> {
  const asked: Asked[] = [];
  const toppedUp: ToppedUp[] = [];
  const work: Promise<void>[] = [];
  for (const tenant of options.tenants) {
    for (const apiKey of tenant.apiKeys) {
      const client = { ...options, tenant, apiKey, draws: drawsFrom(options.seed, work.length) };
      work.push(runClient(client, asked));
    }
    work.push(runTopUps({ ...options, tenant, draws: drawsFrom(options.seed, work.length) }, toppedUp));
  }
  await Promise.all(work);
  return { asked, toppedUp };
}

const lastTries = 140;
const lastPauseMs = 500;

/**
 * One more request of each tenant, when all is well again: hot state hears of what it has missed, a lost top-up for
 * one, with the next commit or before the next refusal for want of money.
 */
export async function askOnceMore(options: LoadOptions, asked: readonly Asked[]): Promise<readonly Asked[]> {
  const all: Asked[] = [];
  for (const [index, tenant] of options.tenants.entries()) {
    const client = {
      ...options,
      tenant,
      apiKey: tenant.apiKeys[0]!,
      draws: drawsFrom(options.seed, -1 - index),
    };
    for (let attempt = 1; attempt <= lastTries; attempt++) {
      const errand = lastErrand(tenant, asked.length + all.length);
      all.push(errand.asked);
      const made = await send(client, errand, 0);
      errand.asked.attempts.push(made);
      // Another may have used up the tenant's minute.
      if (made.status !== 429) break;
      await sleep(lastPauseMs);
    }
  }
  return all;
}

interface ClientOptions extends LoadOptions {
  readonly tenant: Tenant;
  readonly apiKey: string;
  readonly draws: Draws;
}

const longestPauseMs = 500;
const unreachedPauseMs = 250;

async function runClient(client: ClientOptions, all: Asked[]): Promise<void> {
  const { draws, ended } = client;
  while (!ended.aborted) {
    const errand = drawErrand({ ...client, number: all.length });
    all.push(errand.asked);
    await runErrand(client, errand);
    await sleep(draws.between(0, longestPauseMs));
    const { attempts } = errand.asked;
    if (attempts.at(-1)?.end === 'unreached') await sleep(unreachedPauseMs);
  }
}

const mostTries = 40;
/** An outcome that stays unknown for so long is left so. */
const asksForMs = 90_000;
const otherBodyShare = 0.1;

/** With a key of its own a client sends it again until it knows what came of it. */
async function runErrand(client: ClientOptions, errand: Errand): Promise<void> {
  const { draws, ports } = client;
  const { asked } = errand;
  const untilMs = nowMs() + asksForMs;
  let gateway = draws.between(0, ports.length - 1);
  for (let attempt = 1; attempt <= mostTries && nowMs() < untilMs; attempt++) {
    const made = await send(client, errand, gateway);
    asked.attempts.push(made);
    if (asked.idempotencyKey === null) return;
    if (isDecided(made)) {
      await lookBack(client, errand, made);
      return;
    }
    gateway = (gateway + 1) % ports.length;
    await sleep(draws.between(200, 1_000));
  }
}

function isDecided({ end, status, code }: Attempt): boolean {
  if (end === 'complete' || end === 'told_error' || end === 'left') return true;
  if (end !== 'refused') return false;
  return status !== 503 && code !== 'REQUEST_IN_PROGRESS';
}

/** Some ask what became of it, and some try whether their key does for another request. */
async function lookBack(client: ClientOptions, errand: Errand, made: Attempt): Promise<void> {
  const { draws, ports } = client;
  const { asked } = errand;
  const gateway = draws.between(0, ports.length - 1);
  const wasOpened = made.status === 200 || made.code === 'REQUEST_ALREADY_BILLED';
  if (!wasOpened) return;
  if (draws.happens(otherBodyShare)) {
    asked.attempts.push(await send(client, { ...errand, body: errand.otherBody }, gateway, true));
  }
  await inquire(client, asked, gateway);
}

async function send(
  { apiKey, ports }: ClientOptions,
  { asked, body, patienceMs, leavesAfterMs }: Errand,
  gateway: number,
  isOtherBody = false,
): Promise<Attempt> {
  const key = asked.idempotencyKey;
  return await exchange({
    gateway,
    port: ports[gateway]!,
    path: '/v1/chat/completions',
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(key === null ? {} : { 'idempotency-key': key }),
    },
    body,
    isStream: asked.isStream,
    isOtherBody,
    patienceMs,
    leavesAfterMs,
  });
}

const inquiryPatienceMs = 5_000;

/** Asks what became of it, as a client does that lost its connection: what it is told has to come true. */
async function inquire({ ports, apiKey }: ClientOptions, asked: Asked, gateway: number): Promise<void> {
  const traceId = encodeURIComponent(asked.idempotencyKey ?? '');
  try {
    const response = await fetch(`http://127.0.0.1:${ports[gateway]!}/v1/billing/transactions/${traceId}`, {
      headers: { authorization: `Bearer ${apiKey}` },
      signal: AbortSignal.timeout(inquiryPatienceMs),
    });
    if (response.status !== 200) return;
    const { status, amount } = (await response.json()) as AnyJson;
    asked.inquiries.push({
      atMs: nowMs(),
      gateway,
      status,
      amount: amount === null ? null : parseAmount(amount),
    });
  } catch {
    // The gateway is away as well: nothing was said.
  }
}

const topUpEveryMs = { least: 2_000, most: 6_000 } as const;
const topUpPauseMs = 300;
/** Long after everything runs again. */
const mostTopUpTries = 400;

type TopUpOptions = Omit<ClientOptions, 'apiKey'>;

async function runTopUps(options: TopUpOptions, all: ToppedUp[]): Promise<void> {
  const { draws, ended } = options;
  for (let number = 1; !ended.aborted; number++) {
    all.push(await topUp(options, `top-up-${options.tenant.name}-${number}`));
    await sleep(draws.between(topUpEveryMs.least, topUpEveryMs.most), undefined, { signal: ended }).catch(
      () => undefined,
    );
  }
}

/** Sent with one key until it is acknowledged, some of them once more after that. */
async function topUp({ draws, ports, tenant }: TopUpOptions, key: string): Promise<ToppedUp> {
  const amount = tenant.topUp;
  const order = {
    method: 'POST',
    path: `/tenants/${tenant.id}/top-ups`,
    body: { amount },
    idempotencyKey: key,
  } as const;
  let transactionId: string | null = null;
  let tries = 0;
  while (transactionId === null && tries < mostTopUpTries) {
    tries += 1;
    const answer = await askAdmin(ports[draws.between(0, ports.length - 1)]!, order);
    if (answer !== null && answer.status < 300) transactionId = answer.json.id;
    else await sleep(topUpPauseMs);
  }
  if (draws.happens(0.2)) await askAdmin(ports[0]!, order);
  return { key, tenantId: tenant.id, amount: parseAmount(amount), tries, transactionId };
}
