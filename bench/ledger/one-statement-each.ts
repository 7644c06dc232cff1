import { Client } from 'pg';
import { commitWriter } from '../../src/ledger/closing-writers.ts';
import type { Driver } from '../../src/ledger/drivers/driver.ts';
import { setUpSession, valueTypes } from '../../src/ledger/drivers/postgres-session.ts';
import { readStatements } from '../../src/ledger/sql/statements.ts';
import { pendingWriter, postWriter } from '../../src/ledger/writers.ts';
import type { Callers } from './callers.ts';
import { commitOf, newDeduction, newDraft } from './work.ts';

const statements = readStatements();

/**
 * Opens connections that write each transaction by a statement of its own: the ledger's own statements, with
 * one item, prepared and planned as the ledger's are, on a bare connection per caller. There is no pool and no
 * watch over the answer in between, so that nothing stands in the baseline's way that Postgres doesn't put there.
 */
export async function openOneStatementEach(
  url: string,
  options: { readonly connections: number },
): Promise<Callers> {
  const clients = Array.from(
    { length: options.connections },
    () => new Client({ connectionString: url, types: valueTypes }),
  );
  for (const client of clients) {
    await client.connect();
    await setUpSession(client, {
      statementTimeoutMs: 30_000,
      lockTimeoutMs: null,
      planning: 'by keys',
      withinMs: 5_000,
    });
  }
  const writers = clients.map(writersOn);
  return {
    deduct: writers.map(({ post }) => async () => {
      const [answer] = await post.write([{ ...newDeduction(), type: 'CHARGE' }]);
      if (answer?.kind !== 'posted') throw new Error(`a deduction was answered ${answer?.kind}`);
    }),
    pair: writers.map(({ pending, commit }) => async () => {
      const draft = newDraft();
      const [created] = await pending.write([draft]);
      if (created?.kind !== 'created') throw new Error(`a pending was answered ${created?.kind}`);
      const [committed] = await commit.write([commitOf(draft)]);
      if (committed?.kind !== 'committed') throw new Error(`a commit was answered ${committed?.kind}`);
    }),
    takeBatches: () => [],
    close: async () => {
      for (const client of clients) await client.end();
    },
  };
}

function writersOn(client: Client) {
  const names = new Map(Object.entries(statements).map(([name, text]) => [text, name]));
  const query = async <Row>(text: string, parameters: readonly unknown[]): Promise<readonly Row[]> => {
    const { rows } = await client.query({ name: names.get(text) ?? '', text, values: [...parameters] });
    return rows;
  };
  const access = { driver: { queryByKeys: query } as Pick<Driver, 'queryByKeys'> as Driver, statements };
  return { post: postWriter(access), pending: pendingWriter(access), commit: commitWriter(access) };
}
