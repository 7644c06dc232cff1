import type { ApiKey, TenantTerms } from '../catalog/catalog.ts';
import type { CalledLimits } from '../hot-state/hot-state.ts';

/** Limits that the catalogue keeps: they come to hot state with each call. */
export function calledLimits(apiKey: ApiKey, terms: TenantTerms): CalledLimits {
  const { rpmLimit, tpmLimit, maxOpenRequests } = apiKey;
  return { maxOpenRequests: terms.maxOpenRequests, apiKey: { rpmLimit, tpmLimit, maxOpenRequests } };
}
