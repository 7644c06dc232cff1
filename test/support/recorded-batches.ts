import { systemClock } from '../../src/domain/clock.ts';
import type { TenantId } from '../../src/domain/ids.ts';
import type { BatchWriter } from '../../src/ledger/lane.ts';

export interface Item {
  readonly tenantId: TenantId;
  readonly name: string;
}

export const item = (name: string, tenant = 'one'): Item => ({ tenantId: tenant as TenantId, name });

/** Records what it is given, and writes when the test says so. */
export function recorder(
  options: {
    fail?: (items: readonly Item[]) => Error | null;
    refusedWhenFull?: boolean;
    /** Shared by the writers of one lane, it tells which of them came first. */
    batches?: string[][];
  } = {},
) {
  const { batches = [] } = options;
  const gates: (() => void)[] = [];
  let held = false;
  const writer: BatchWriter<Item, string> = {
    tenantOf: ({ tenantId }) => tenantId,
    identityOf: ({ name }) => name,
    refusedWhenFull: options.refusedWhenFull ?? true,
    write: async (items) => {
      batches.push(items.map(({ name }) => name));
      if (held) await new Promise<void>((resolve) => gates.push(resolve));
      const failure = options.fail?.(items) ?? null;
      if (failure !== null) throw failure;
      return items.map(({ name }) => `wrote ${name}`);
    },
  };
  return {
    writer,
    batches,
    hold: () => {
      held = true;
    },
    release: () => {
      held = false;
      for (const open of gates.splice(0)) open();
    },
  };
}

export const oneLane = { lanes: 1, maxBatch: 100, maxQueue: 100, clock: systemClock, onBatch: null };
