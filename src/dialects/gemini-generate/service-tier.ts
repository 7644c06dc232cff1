import { asText, type JsonObject } from '../json.ts';

/** As enums come with `enum-encoding=int`: pay-as-you-go, and throughput that was paid for in advance. */
const numberedTraffic: ReadonlyMap<unknown, string> = new Map([
  [1, 'ON_DEMAND'],
  [2, 'PROVISIONED_THROUGHPUT'],
  [3, 'ON_DEMAND_PRIORITY'],
  [4, 'ON_DEMAND_FLEX'],
]);

/** Google takes and sends "flex" as well as the enum's name of it. */
export function serviceTierOf(value: unknown): string | null {
  const name = asText(value)
    ?.toLowerCase()
    .replace(/^service_tier_/, '');
  return name === undefined || name === 'unspecified' ? null : name;
}

/**
 * Gemini names the tier that served a request as `serviceTier`; Vertex as `trafficType`, where flex is
 * ON_DEMAND_FLEX. Provisioned throughput isn't a price of its own for a tenant: it is the standard tier.
 */
export function servedTier(usage: JsonObject | null): string | null {
  const tier = serviceTierOf(usage?.serviceTier);
  if (tier !== null) return tier;
  const traffic = numberedTraffic.get(usage?.trafficType) ?? asText(usage?.trafficType);
  const special = /^ON_DEMAND_(\w+)$/.exec(traffic ?? '')?.[1];
  if (special !== undefined) return special.toLowerCase();
  return traffic === 'ON_DEMAND' || traffic === 'PROVISIONED_THROUGHPUT' ? 'standard' : null;
}
