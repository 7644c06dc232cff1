import type { TenantId } from '../../domain/ids.ts';

/**
 * The keys of a tenant, in the order in which every script takes them. The tenant is the hash tag: all of
 * them are in one slot of a Cluster, so that one script may touch them together. A rolling upgrade runs two
 * versions of the scripts on them: what they hold may only be added to.
 *
 * - quota, a hash: the projection's fields; `loaded`, the life of the server's data in which it was loaded;
 *   `ticket`, which permits to load it; `held`, Σ of the open holds in nano; and `open:<day>`, the open
 *   requests that count in that day.
 * - holds, a hash: trace id → "<amount in nano> <day> <checked | loaded | confirmed> <holder>".
 * - unconfirmed, a sorted set: trace ids of holds whose PENDING row isn't known to be durable, by the
 *   millisecond at which they are dropped.
 * - settled, a sorted set: holders settled a short while ago, by the millisecond until which they are known.
 */
export function tenantKeys(
  tenantId: TenantId,
): readonly [quota: string, holds: string, unconfirmed: string, settled: string] {
  return [
    `gw:quota:tenant:{${tenantId}}`,
    `gw:hold:{${tenantId}}`,
    `gw:hold:unconfirmed:{${tenantId}}`,
    `gw:billing:idempotent:{${tenantId}}`,
  ];
}
