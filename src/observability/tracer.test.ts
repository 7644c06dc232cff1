import { expect, it } from 'vitest';
import { guarded, type RequestSpans, type Tracer } from './tracer.ts';

const broken = (): never => {
  throw new Error('the tracer is broken');
};
const brokenSpans: RequestSpans = {
  step: async () => broken(),
  upstreamAsked: broken,
  upstreamAnswered: broken,
  firstChunk: broken,
  upstreamEnded: broken,
  failed: broken,
  summarised: broken,
  ended: broken,
};
const arrived: Parameters<Tracer['requestArrived']>[0] = {
  method: 'POST',
  route: '/',
  path: '/',
  scheme: 'http',
  headers: {},
};
const spansOf = (spans: RequestSpans) => guarded({ requestArrived: () => spans }).requestArrived(arrived)!;

it('lets a request go on whose spans fail, whatever is told of it', async () => {
  const spans = spansOf(brokenSpans);
  const headers = { traceparent: 'x' };
  expect(spans.upstreamAsked({} as Parameters<RequestSpans['upstreamAsked']>[0], headers)).toBe(headers);
  spans.upstreamAnswered({ kind: 'response', status: 200 });
  spans.firstChunk();
  spans.upstreamEnded({ outcome: 'completed', metered: null, reading: null });
  spans.failed(new Error('x'));
  spans.summarised({} as Parameters<RequestSpans['summarised']>[0]);
  spans.ended(200);
  expect(guarded({ requestArrived: broken }).requestArrived(arrived)).toBeNull();
});

it('does the work of a step once, and answers as the work does, whether its span fails before it or after', async () => {
  let done = 0;
  const work = async () => ++done;
  expect(await spansOf(brokenSpans).step('commit', work)).toBe(1);
  const step: RequestSpans['step'] = async (_, once) => {
    await once();
    return broken();
  };
  expect(await spansOf({ ...brokenSpans, step }).step('commit', work)).toBe(2);
  const failing = async () => {
    done++;
    throw new Error('the ledger is away');
  };
  await expect(spansOf({ ...brokenSpans, step }).step('commit', failing)).rejects.toThrow(
    'the ledger is away',
  );
  expect(done).toBe(3);
});
