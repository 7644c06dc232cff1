import { createHmac } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AnyJson } from './admin-plane.ts';

/** A request as it came. */
export interface Received {
  readonly id: string;
  readonly body: AnyJson;
  /** Whether its signature is the one that the Standard Webhooks specification asks for. */
  verifiesWith(secret: string): boolean;
}

export interface WebhookReceiver {
  readonly url: string;
  readonly received: readonly Received[];
  /** The most requests that were open at once. */
  readonly mostAtOnce: number;
  /** Waits until so many came. */
  until(count: number): Promise<void>;
  close(): Promise<void>;
}

/** What answers, given how many requests came before: ends the response, or leaves it open. */
export type Answering = (response: ServerResponse, index: number) => void | Promise<void>;

/** A server that takes webhooks, on a free port. */
export async function startReceiver(
  answer: Answering = (response) => void response.end(),
): Promise<WebhookReceiver> {
  const received: Received[] = [];
  const open = { now: 0, most: 0 };
  const server = createServer(async (request, response) => {
    open.now++;
    open.most = Math.max(open.most, open.now);
    response.on('close', () => open.now--);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const { 'webhook-id': id, 'webhook-timestamp': sentAt, 'webhook-signature': signature } = request.headers;
    const index = received.push({
      id: String(id),
      body: JSON.parse(text),
      verifiesWith: (secret) => {
        const hmac = createHmac('sha256', Buffer.from(secret.replace(/^whsec_/, ''), 'base64'));
        const recent = Math.abs(Date.now() / 1000 - Number(sentAt)) < 300;
        return recent && signature === `v1,${hmac.update(`${id}.${sentAt}.${text}`).digest('base64')}`;
      },
    });
    await answer(response, index - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks?from=tollgate`,
    received,
    get mostAtOnce() {
      return open.most;
    },
    until: async (count) => {
      for (let wait = 0; received.length < count; wait++) {
        if (wait > 1000) throw new Error(`${received.length} of ${count} webhooks came`);
        await sleep(10);
      }
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
