import { describe } from 'vitest';
import { contractOfApiKeyQuotas } from './contract/api-key-quotas.contract.ts';
import { useLedger } from './contract/given-ledger.contract.ts';
import { contractOfHistory } from './contract/history.contract.ts';
import { contractOfInstances } from './contract/instances.contract.ts';
import { contractOfPendings } from './contract/pendings.contract.ts';
import { contractOfPostings } from './contract/postings.contract.ts';
import { contractOfQuota } from './contract/quota.contract.ts';
import { contractOfRandomCommands } from './contract/random-commands.contract.ts';
import { contractOfReading } from './contract/reading.contract.ts';
import { contractOfWarnings } from './contract/warnings.contract.ts';
import type { Driver } from './drivers/driver.ts';

/** What every ledger guarantees, whatever its engine. */
export function describeLedger(name: string, open: () => Promise<Driver>): void {
  describe(`the ledger on ${name}`, () => {
    const given = useLedger(open);
    contractOfPendings(given);
    contractOfPostings(given);
    contractOfQuota(given);
    contractOfApiKeyQuotas(given);
    contractOfWarnings(given);
    contractOfHistory(given);
    contractOfInstances(given);
    contractOfReading(given);
    contractOfRandomCommands(given);
  });
}
