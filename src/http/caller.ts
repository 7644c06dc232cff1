import type { FastifyRequest } from 'fastify';
import type { Caller } from '../gateway/request.ts';

/** Who asks, as far as the web framework knows. */
export function callerOf({ headers, ip }: FastifyRequest): Caller {
  // A socket that is gone has none.
  return { headers, address: ip ?? '' };
}

/** Without the query, where some clients put their secret. */
export function pathOf(url: string): string {
  return url.split(/[?#]/, 1)[0] ?? '';
}
