import { expect, it } from 'vitest';
import type { ApiKeyId, TenantId } from '../../domain/ids.ts';
import { ReplyLost, unavailable } from './connect.ts';
import type { KeyOwner } from './keys.ts';
import { Together } from './together.ts';

const owner = (tenant: string, apiKey = 'key'): KeyOwner => ({
  tenantId: tenant as TenantId,
  apiKeyId: apiKey as ApiKeyId,
});

/** A script that answers each call with itself, in capitals, and fails as told. */
function capitals(failOn: (calls: readonly string[]) => Error | null = () => null) {
  const runs: string[] = [];
  const together = new Together<string, string>({
    run: async ({ tenantId, apiKeyId }, args) => {
      const calls = args.map(String);
      runs.push(`${tenantId}/${apiKeyId}: ${calls.join(' ')}`);
      const error = failOn(calls);
      if (error !== null) throw error;
      return calls.map((call) => call.toUpperCase());
    },
    argsOf: (calls) => {
      if (calls.includes('unsayable')) throw new Error('unsayable');
      return calls;
    },
    read: (reply) => reply as readonly string[],
  });
  return { runs, together };
}

it('sends what is asked of the same keys in one turn as one call, and answers each with its own', async () => {
  const { runs, together } = capitals();
  const asked = [
    together.ask(owner('acme'), 'a'),
    together.ask(owner('other'), 'b'),
    together.ask(owner('acme'), 'c'),
    together.ask(owner('acme', 'second'), 'd'),
  ];
  expect(await Promise.all(asked)).toEqual(['A', 'B', 'C', 'D']);
  expect(runs).toEqual(['acme/key: a c', 'other/key: b', 'acme/second: d']);
});

it('sends what is asked in the next turn by itself', async () => {
  const { runs, together } = capitals();
  await together.ask(owner('acme'), 'a');
  await together.ask(owner('acme'), 'b');
  expect(runs).toEqual(['acme/key: a', 'acme/key: b']);
});

it('sends 64 at the most as one call, and leaves none out', async () => {
  const { runs, together } = capitals();
  const names = Array.from({ length: 150 }, (_, index) => `n${index}`);
  const answers = await Promise.all(names.map((name) => together.ask(owner('acme'), name)));
  expect(answers).toEqual(names.map((name) => name.toUpperCase()));
  expect(runs.map((run) => run.split(' ').length - 1)).toEqual([64, 64, 22]);
});

it('fails those alone that the script fails at', async () => {
  const { runs, together } = capitals((calls) => (calls.includes('bad') ? new Error('bad') : null));
  const asked = ['a', 'bad', 'c'].map((call) => together.ask(owner('acme'), call));
  const settled = await Promise.allSettled(asked);
  expect(settled).toMatchObject([{ value: 'A' }, { reason: { cause: { message: 'bad' } } }, { value: 'C' }]);
  expect(runs).toEqual(['acme/key: a bad c', 'acme/key: a', 'acme/key: bad', 'acme/key: c']);
});

it('knows nothing of what may have run with the others, and then fails by itself', async () => {
  const { together } = capitals((calls) =>
    calls.length > 1 ? new Error('half way') : unavailable(new Error('the connection is reconnecting')),
  );
  const settled = await Promise.allSettled(['a', 'b'].map((call) => together.ask(owner('acme'), call)));
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  for (const one of settled) expect((one as PromiseRejectedResult).reason).toBeInstanceOf(ReplyLost);
});

it.each(['OOM command not allowed', 'READONLY a replica', 'LOADING'])(
  'tells all of them what Redis says before anything runs, and asks once: %s',
  async (message) => {
    const error = unavailable(Object.assign(new Error(message), { name: 'ReplyError' }));
    const { runs, together } = capitals(() => error);
    const settled = await Promise.allSettled(['a', 'b'].map((call) => together.ask(owner('acme'), call)));
    expect(settled).toEqual(['a', 'b'].map(() => ({ status: 'rejected', reason: error })));
    expect(runs).toHaveLength(1);
  },
);

it('fails what can not be said to the script, and nobody else', async () => {
  const { together } = capitals();
  const asked = ['unsayable', 'b'].map((call) => together.ask(owner('acme'), call));
  expect(await Promise.allSettled(asked)).toMatchObject([
    { reason: { cause: { message: 'unsayable' } } },
    { value: 'B' },
  ]);
});

it('tells all of them of a reply that was lost, and does not send again what may have run', async () => {
  const lost = new ReplyLost(new Error('gone'));
  const { runs, together } = capitals(() => lost);
  const settled = await Promise.allSettled(['a', 'b'].map((call) => together.ask(owner('acme'), call)));
  expect(settled).toEqual([
    { status: 'rejected', reason: lost },
    { status: 'rejected', reason: lost },
  ]);
  expect(runs).toEqual(['acme/key: a b']);
});
