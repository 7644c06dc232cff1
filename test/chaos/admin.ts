import type { AnyJson } from '../support/admin-plane.ts';
import { adminToken } from './gateway-process.ts';

export interface AdminAnswer {
  readonly status: number;
  readonly json: AnyJson;
}

export interface AdminOrder {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly body?: unknown;
  readonly idempotencyKey?: string;
}

const patienceMs = 10_000;

/** @returns null where no answer came, and nobody knows what was done */
export async function askAdmin(port: number, order: AdminOrder): Promise<AdminAnswer | null> {
  const { method, path, body, idempotencyKey } = order;
  try {
    const response = await fetch(`http://127.0.0.1:${port}/admin/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${adminToken}`,
        'content-type': 'application/json',
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      },
      signal: AbortSignal.timeout(patienceMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: await response.json() };
  } catch {
    return null;
  }
}

/** For the set-up, where nothing is broken yet. */
export async function requireAdmin(port: number, order: AdminOrder): Promise<AnyJson> {
  const answer = await askAdmin(port, order);
  if (answer === null || answer.status > 299) {
    throw new Error(`${order.method} ${order.path}: ${JSON.stringify(answer)}`);
  }
  return answer.json;
}
