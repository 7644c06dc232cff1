import { holdOf } from './commit.ts';
import { GrowingHold } from './growing-hold.ts';
import type { OpenPendingOptions, OpenRequest } from './open-request.ts';

export type OpenHoldOptions = Pick<OpenPendingOptions, 'hotState' | 'tenants' | 'observer' | 'clock'>;

/** The hold of an open request, as hot state has it. */
export function openHold(open: OpenRequest, options: OpenHoldOptions): GrowingHold {
  const { hotState, tenants, observer, clock } = options;
  const { tenantId, holdAmount: heldAmount, holdTokens: tokens, growth, periodDay } = open;
  return new GrowingHold({
    heldAmount,
    growth,
    extend: async (holdAmount) =>
      await tenants.ask(tenantId, () => hotState.extend({ ...holdOf(open), holdAmount, tokens, periodDay })),
    refresh: () => tenants.refresh(tenantId),
    onFault: (error) => observer.fault('extending a hold', error, open.traceId),
    clock,
  });
}
