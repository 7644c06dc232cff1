import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../domain/clock.ts';
import type { ClaimedDelivery, Outbox } from '../outbox/outbox.ts';
import { sign } from '../outbox/signature.ts';
import type { UpstreamClient } from '../upstream/upstream.ts';
import { toldOnce } from './told-once.ts';

export interface WebhookSenderOptions {
  readonly outbox: Outbox;
  readonly client: UpstreamClient;
  readonly clock: Clock;
  /** From 0 to 1, for what processes must not do in step. */
  readonly random: () => number;
  /** Told when the outbox couldn't be asked or told: it is tried again. */
  readonly onFault: (what: string, error: unknown) => void;
  readonly pollMs?: number;
  /** An attempt takes no longer, whatever the receiver does. */
  readonly timeoutMs?: number;
  /** How long another process waits before it attempts what this one has begun. */
  readonly leaseMs?: number;
  /** After each failed attempt; after one more it is given up. */
  readonly pausesMs?: readonly number[];
  /** What is under way at the end may take as long as this. */
  readonly graceMs?: number;
}

export interface WebhookSender {
  /** Begins no more attempts, and waits for what is under way. */
  close(): Promise<void>;
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

const defaultPausesMs: readonly number[] = [
  5 * second,
  30 * second,
  2 * minute,
  10 * minute,
  hour,
  6 * hour,
  12 * hour,
  24 * hour,
];

const maxPerWebhook = 8;

/** What an attempt came to. */
type Attempt =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly reason: string };

/**
 * Delivers the outbox to webhooks, signed. Every process may run one: a delivery is attempted by one at a time. A process
 * that dies between an attempt and its record leaves one that is repeated under the same id.
 */
export function startWebhookSender(options: WebhookSenderOptions): WebhookSender {
  const { outbox, random, onFault, pollMs = second, graceMs = 2 * second, leaseMs = minute } = options;
  const closing = new AbortController();
  const cutting = new AbortController();
  const underWay = new Map<string, Promise<void>>();
  let pause = new AbortController();

  /** The deliveries of one webhook: it is busy until all of them have ended. */
  const sendAll = async (deliveries: readonly ClaimedDelivery[]) => {
    await Promise.all(
      deliveries.map((delivery) =>
        attemptAndRecord(options, delivery, cutting.signal).catch((error) =>
          onFault('recording what a webhook answered', error),
        ),
      ),
    );
  };

  const round = async () => {
    await outbox.dispatch();
    if (closing.signal.aborted) return;
    const claimed = await outbox.claim({ except: [...underWay.keys()], maxPerWebhook, leaseMs });
    for (const [webhookId, deliveries] of Map.groupBy(claimed, ({ webhook }) => webhook.id)) {
      const sent = sendAll(deliveries).finally(() => {
        underWay.delete(webhookId);
        // There may be more, which needn't wait for the next poll.
        if (deliveries.length === maxPerWebhook) pause.abort();
      });
      underWay.set(webhookId, sent);
    }
  };

  // Told once until it goes well again: a ledger that is away is told of by others.
  const told = toldOnce('asking for events to deliver', onFault);
  const run = async () => {
    while (!closing.signal.aborted) {
      pause = new AbortController();
      await told(round());
      const signal = AbortSignal.any([closing.signal, pause.signal]);
      await sleep(pollMs * (0.75 + 0.5 * random()), null, { signal }).catch(() => null);
    }
  };

  const running = run();
  return {
    close: async () => {
      closing.abort();
      const cut = setTimeout(() => cutting.abort(), graceMs);
      await running;
      await Promise.all(underWay.values());
      clearTimeout(cut);
    },
  };
}

async function attemptAndRecord(
  options: WebhookSenderOptions,
  delivery: ClaimedDelivery,
  cut: AbortSignal,
): Promise<void> {
  const { outbox, random, pausesMs = defaultPausesMs } = options;
  const attempt = await send(options, delivery, cut);
  switch (attempt.kind) {
    case 'delivered':
      return await outbox.delivered(delivery);
    case 'gone':
      return await outbox.disable(delivery.webhook.id, 'it answered 410: it is gone');
    case 'failed': {
      const pauseMs = pausesMs[delivery.attempt - 1];
      const againInMs = pauseMs === undefined ? null : pauseMs * (0.9 + 0.2 * random());
      return await outbox.failed(delivery, attempt.reason, againInMs);
    }
  }
}

async function send(
  options: WebhookSenderOptions,
  { webhook, event }: ClaimedDelivery,
  cut: AbortSignal,
): Promise<Attempt> {
  const { client, clock, timeoutMs = 10 * second } = options;
  const { id, type, data, createdAt } = event;
  const body = JSON.stringify({ id, type, timestamp: createdAt.toISOString(), data });
  const timestamp = Math.floor(clock.now() / second);
  const done = new AbortController();
  const answer = await client.send({
    url: webhook.url,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'tollgate',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': sign(webhook.secret, { id, timestamp, body }),
    },
    body: Buffer.from(body),
    headersTimeoutMs: timeoutMs,
    idleTimeoutMs: timeoutMs,
    signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), cut, done.signal]),
  });
  if (answer.kind === 'unreachable') {
    const reason = cut.aborted ? 'the gateway stopped' : unreachable(answer.reason, timeoutMs);
    return { kind: 'failed', reason };
  }
  // The status says all: the body is left unread, however long it is.
  done.abort();
  if (answer.status >= 200 && answer.status < 300) return { kind: 'delivered' };
  if (answer.status === 410) return { kind: 'gone' };
  return { kind: 'failed', reason: `it answered ${answer.status}` };
}

function unreachable(reason: 'connection' | 'timeout' | 'aborted', timeoutMs: number): string {
  if (reason === 'connection') return 'it could not be reached';
  return `it did not answer within ${timeoutMs / second} s`;
}
