import type { ApiKeyId, TenantId } from '../../domain/ids.ts';

/** The key of a session: the request that has it. */
export interface SessionOwner {
  readonly tenantId: TenantId;
  readonly sessionId: string;
}

export function sessionKey({ tenantId, sessionId }: SessionOwner): string {
  return `gw:lock:session:{${tenantId}}:${sessionId}`;
}

/** Whose keys: a tenant's, and those of one of its API keys where it is about a request. */
export interface KeyOwner {
  readonly tenantId: TenantId;
  readonly apiKeyId?: ApiKeyId;
}

/**
 * The keys of a tenant and of an API key, in the order in which every script takes them. The tenant is the hash
 * tag: all of them are in one slot of a Cluster, so that one script may touch them together. A rolling upgrade
 * runs two versions of the scripts on them: what they hold may only be added to, or their layout counted up
 * (lua/fragments/tenant.lua), so that each version finds cold what the other one loaded.
 *
 * - quota, a hash: the projection's fields; `loaded`, the life of the server's data in which it was loaded;
 *   `ticket`, which permits to load it; `held`, Σ of the open holds in nano; `open`, the tenant's open requests, and
 *   `open:<API key id>`, those of an API key that has some: "<day> <requests> <tokens> <amount in nano>;" for each
 *   day that one of them counts in; and `quotas:<API key id>`: "<r, t or a for its type><d, m or n for its period>
 *   <version> <total> <used> <first day of the period>;" for each quota, with "-" for the total of one that was
 *   taken away and for a period that isn't there.
 * - holds, a hash: trace id → "<amount in nano> <day> <checked | loaded | confirmed> <limit that it exceeds>
 *   <tokens> <bucket of the tenant's minute> <bucket of the API key's minute> <API key id> <holder>", with "-" for
 *   what isn't there.
 * - unconfirmed, a sorted set: trace ids of holds whose PENDING row isn't known to be durable, by the
 *   millisecond at which they are dropped.
 * - settled, a sorted set: holders settled a short while ago, by the millisecond until which they are known.
 * - of requests and of tokens, of the tenant and of the API key: a rolling minute each, as lua/fragments/window.lua
 *   keeps it. Only where there is such a limit.
 */
export function tenantKeys({ tenantId, apiKeyId }: KeyOwner): readonly [quota: string, ...string[]] {
  const minute = (measure: 'rpm' | 'tpm') => `gw:ratelimit:${measure}:{${tenantId}}`;
  const ofTenant = [
    `gw:hold:{${tenantId}}`,
    `gw:hold:unconfirmed:{${tenantId}}`,
    `gw:billing:idempotent:{${tenantId}}`,
  ];
  const ofRequest = [
    ...[minute('rpm'), minute('tpm')],
    ...[`${minute('rpm')}:${apiKeyId}`, `${minute('tpm')}:${apiKeyId}`],
  ];
  return [`gw:quota:tenant:{${tenantId}}`, ...ofTenant, ...(apiKeyId === undefined ? [] : ofRequest)];
}
