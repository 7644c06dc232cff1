import { describe, expect, it } from 'vitest';
import { completeUncommitted, lateCheckpoint } from './judge.ts';
import { faultKinds } from './records.ts';
import { isClean, type Report, shortcomingsOf } from './report.ts';

const noFaults = Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as Report['faults'];
const report = (values: Partial<Report> = {}): Report => ({
  seed: 1,
  seconds: 600,
  requests: 2_000,
  attempts: 2_000,
  verdicts: { complete: 800, broken: 200, refused: 1_000, unknown: 0 },
  refusals: {},
  faults: { ...noFaults, kill_gateway: 40, kill_redis: 30 },
  kills: 70,
  killsPlanned: 70,
  streamsBrokenByGateway: 100,
  longestUnchargedSeconds: 5,
  topUps: { acknowledged: 1, repeated: 0, unacknowledged: 0 },
  settledWithinSeconds: 1,
  explained: { [lateCheckpoint]: 20, [completeUncommitted]: 10 },
  wrong: { lost: 0, double: 0, unexplained: 0 },
  findings: [],
  folder: '',
  ...values,
});

it('a run in which everything happened proves something', () => {
  expect(shortcomingsOf(report())).toEqual([]);
  expect(isClean(report())).toBe(true);
});

describe('a run proves nothing in which', () => {
  it.each<[string, Partial<Report>]>([
    ['nothing was to be killed', { kills: 0, killsPlanned: 0, faults: noFaults }],
    ['less was killed than planned', { kills: 69 }],
    [
      'nobody was answered',
      { verdicts: { complete: 0, broken: 200, refused: 0, unknown: 0 }, explained: {} },
    ],
    ['gateways were killed and no stream with them', { streamsBrokenByGateway: 0 }],
    ['much had to be explained', { explained: { [lateCheckpoint]: 21, [completeUncommitted]: 10 } }],
  ])('%s', (_, values) => {
    expect(shortcomingsOf(report(values))).toHaveLength(1);
  });
});
