import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addModel, type TestGateway } from '../support/gateway.ts';
import { scrape } from '../support/metrics.ts';
import { emptyQueries, emptyWithoutFallback } from './dashboard.ts';
import { documentedMetrics } from './metric-names.ts';
import { buildStage, type OperationsStage } from './stage.ts';

// A real Prometheus that scrapes two gateways for a minute under load.

const minuteMs = 60_000;
let stage: OperationsStage;

beforeAll(async () => {
  stage = await buildStage({ rules: [], scrapeEveryMs: 1_000 });
}, 120_000);
afterAll(() => stage.stop());

/** Of Tollgate, in order. */
async function namesOf(gateway: TestGateway): Promise<readonly string[]> {
  const { names } = await scrape(gateway);
  return names.filter((name) => !/^(nodejs|process)_/.test(name)).toSorted();
}

it('has every metric that is written down, and data for every query of the dashboard', {
  timeout: 180_000,
}, async () => {
  const load = stage.load([
    { model: 'good' },
    { model: 'good', stream: true },
    { model: 'good', stream: true },
    { model: 'silent', stream: true },
    { model: 'miscounting', stream: true },
    { model: 'failing' },
    { model: 'breaking', stream: true },
    { model: 'none' },
  ]);
  // Something that is a fault, and something that has no answer.
  await addModel(stage.gateways[0], 'away', { baseUrl: 'http://127.0.0.1:1/v1' });
  await sleep(2_000);
  for (let turn = 0; turn < 4; turn++) await stage.ask(turn, { model: 'away' });
  void stage.ask(0, { model: 'slow', stream: true });
  await sleep(minuteMs);

  const documented = [...(await documentedMetrics()).keys()];
  const [alone, withWorkers] = await Promise.all(stage.gateways.map(namesOf));
  expect(withWorkers).toEqual(documented.toSorted());
  expect(alone).toEqual(documented.filter((name) => name !== 'tollgate_workers').toSorted());
  const times = { rateInterval: '15s', range: '1m' };
  expect(await emptyQueries(stage.prometheus, times)).toEqual([]);
  // Nor is it the zeros that stand in for what nobody counts.
  const bare = await emptyQueries(stage.prometheus, times, { fallbacks: false });
  expect(bare.filter(({ of }) => !(of in emptyWithoutFallback))).toEqual([]);
  await load.stop();
});
