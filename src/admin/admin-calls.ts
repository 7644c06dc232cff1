import type { AdminCall, AdminDependencies } from './admin-call.ts';
import { apiKeyCalls } from './api-keys.ts';
import { auditCalls } from './audit.ts';
import { modelCalls } from './models.ts';
import { priceCalls } from './prices.ts';
import { resetCalls } from './resets.ts';
import { tenantCalls } from './tenants.ts';
import { topUpCalls } from './top-ups.ts';
import { transactionCalls } from './transactions.ts';
import { upstreamCalls } from './upstreams.ts';

/** Everything an admin can ask for. */
export function createAdminCalls(dependencies: AdminDependencies): readonly AdminCall[] {
  return [
    tenantCalls,
    topUpCalls,
    resetCalls,
    apiKeyCalls,
    upstreamCalls,
    modelCalls,
    priceCalls,
    transactionCalls,
    auditCalls,
  ].flatMap((calls) => calls(dependencies));
}
