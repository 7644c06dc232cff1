import { expect, it } from 'vitest';
import { RecordedClient, requestOf, stateOf, until, useParts } from '../../test/support/pipeline.ts';
import { systemClock } from '../domain/clock.ts';
import type { Ledger } from '../ledger/ledger.ts';

const given = useParts();

/** On which an answer does not wait for its charge for seconds. */
const fast = {
  ...systemClock,
  after: (ms: number, callback: () => void) => systemClock.after(ms / 50, callback),
};

it('refuses a tenant whose answer was delivered without its charge, and no other, until the charge is in', async () => {
  const { parts, tenant } = given;
  const gate = Promise.withResolvers<void>();
  const ledger: Ledger = {
    ...parts.ledger,
    commitPending: async (commit) => {
      if (commit.tenantId === tenant.id) await gate.promise;
      return await parts.ledger.commitPending(commit);
    },
  };
  const pipeline = parts.pipeline({ ledger, clock: fast });
  const ask = async (apiKey: string) => {
    const client = new RecordedClient();
    await pipeline.serve(requestOf(apiKey, ''), client);
    return client;
  };
  const late = await ask(tenant.apiKey);
  expect(late.end_).toBe('ended');
  expect((await stateOf(parts, tenant.id)).open).toBe(1);
  await until(async () => (await ask(tenant.apiKey)).code === 'LEDGER_UNAVAILABLE');
  const rows = (await stateOf(parts, tenant.id)).rows.length;
  const { requests } = parts.simulator;
  const asked = requests.count;
  expect((await ask(tenant.apiKey)).code).toBe('LEDGER_UNAVAILABLE');
  expect(requests.count).toBe(asked);
  const other = await parts.addTenant();
  expect((await ask(other.apiKey)).code).toBeNull();
  gate.resolve();
  await pipeline.idle();
  expect((await ask(tenant.apiKey)).code).toBeNull();
  const after = await stateOf(parts, tenant.id);
  expect(after).toMatchObject({ open: 0, held: 0n });
  expect(after.rows).toHaveLength(rows + 1);
});
