import { randomUUID } from 'node:crypto';
import type { Clock } from '../../domain/clock.ts';
import type { LoadTicket } from '../hot-state.ts';
import type { Tenant } from './tenant.ts';

/** A snapshot that took longer is not loaded: what was settled in between may be forgotten. */
const loadWithinMs = 20_000;

/** A ticket is lost with its tenant, and says when it was asked for. */
export function ticketSource(clock: Clock) {
  // Of another life of this process, or of a test, there may be tickets too.
  const life = randomUUID();
  let given = 0;
  return {
    give: (tenant: Tenant): LoadTicket => {
      tenant.ticket ??= `${life}:${++given}`;
      return `${clock.monotonic()} ${tenant.ticket}` as LoadTicket;
    },
    isValid: (ticket: LoadTicket, tenant: Tenant): boolean => {
      const [givenMs, name] = ticket.split(' ', 2);
      return name === tenant.ticket && clock.monotonic() - Number(givenMs) <= loadWithinMs;
    },
  };
}
