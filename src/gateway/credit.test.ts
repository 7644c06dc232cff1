import { beforeEach, describe, expect, it } from 'vitest';
import { losableHotState } from '../../test/support/hot-state.ts';
import {
  answering,
  RecordedClient,
  requestOf,
  stateOf,
  type TestTenant,
  until,
  useParts,
} from '../../test/support/pipeline.ts';
import type { TenantTerms } from '../catalog/catalog.ts';
import { systemClock } from '../domain/clock.ts';
import { parseAmount } from '../domain/money.ts';
import { createMemoryHotState } from '../hot-state/memory.ts';
import type { UpstreamClient } from '../upstream/upstream.ts';
import type { PipelineOptions } from './pipeline.ts';

// Who may cost more than there is, how much is held for whom, and what becomes of an answer that is dearer
// than its hold. Output costs 0.000002 a token, the prompt 0.000012.

const given = useParts();

let poor: TestTenant;
beforeEach(async () => {
  poor = await given.parts.addTenant('0.002');
});

async function ask(
  directives: string,
  body: object,
  changes: Partial<PipelineOptions> = {},
): Promise<RecordedClient> {
  const client = new RecordedClient();
  const pipeline = given.parts.pipeline(changes);
  await pipeline.serve(requestOf(poor.apiKey, directives, body), client);
  await pipeline.idle();
  return client;
}

const forbidden = { overdraft: { streams: false, answers: false } };
const permitted = { overdraft: { streams: true, answers: true } };

/** The terms of every tenant, as its admin would set them. */
function withTerms(terms: Partial<TenantTerms>): Partial<PipelineOptions> {
  const { catalog } = given.parts;
  return {
    catalog: {
      ...catalog,
      findApiKey: async (hash) => {
        const found = await catalog.findApiKey(hash);
        return found && { ...found, terms: { ...found.terms, ...terms } };
      },
    },
  };
}

const rowOf = async () => (await stateOf(given.parts, poor.id)).rows[0];
const sse = { 'content-type': 'text/event-stream' };
const event = (json: object) => `data: ${JSON.stringify(json)}\n\n`;
const delta = (content: string) => event({ choices: [{ index: 0, delta: { content } }] });
const done = 'data: [DONE]\n\n';

describe('what is held', () => {
  it.each([
    ['a stream that may overdraw', { stream: true }, {}, 1024],
    ['an answer that may', {}, permitted, 1024],
    ['a stream that sets less than is expected', { stream: true, max_tokens: 300 }, {}, 300],
  ])('for %s is an expected answer', async (_, body, changes, tokens) => {
    poor = await given.parts.addTenant('1');
    await ask('', body, changes);
    const { holdAmount } = (await rowOf())!;
    const worst = parseAmount('0.000002') * BigInt(tokens);
    expect(holdAmount).toBeGreaterThanOrEqual(worst);
    expect(holdAmount).toBeLessThan(worst + parseAmount('0.0001'));
    expect(JSON.parse(given.parts.simulator.requests.last!.body).max_tokens).toBe(
      'max_tokens' in body ? body.max_tokens : undefined,
    );
  });

  it('is what the balance affords of it, where that makes an answer', async () => {
    poor = await given.parts.addTenant('0.0009');
    expect((await ask('tokens=20', { stream: true, max_tokens: 4000 })).head).toMatchObject({ status: 200 });
    expect((await rowOf())!.holdAmount).toBeLessThanOrEqual(parseAmount('0.0009'));
    poor = await given.parts.addTenant('0.0004');
    expect((await ask('tokens=20', { stream: true })).code).toBe('QUOTA_BALANCE_EXCEEDED');
  });

  it('is the worst case for a model that reasons unseen, once it is known to', async () => {
    poor = await given.parts.addTenant('1');
    const pipeline = given.parts.pipeline();
    const hiding = () =>
      pipeline.serve(
        requestOf(poor.apiKey, 'reasoning=3000&reasoning_field=hidden&tokens=20', { stream: true }),
        new RecordedClient(),
      );
    await hiding();
    await hiding();
    const [second, first] = (await stateOf(given.parts, poor.id)).rows;
    expect(first!.holdAmount).toBeLessThan(parseAmount('0.003'));
    expect(second!.holdAmount).toBeGreaterThan(parseAmount('0.008'));
  });

  it.each([
    ['streamAllowNegative', { stream: true }],
    ['allowNegative', {}],
  ])("goes by the tenant's own %s before the environment's", async (name, body) => {
    const asked = { ...body, max_tokens: 4000 };
    const forTenant = (value: boolean | null) => withTerms({ [name]: value });
    expect((await ask('', asked, { ...permitted, ...forTenant(false) })).code).toBe('QUOTA_BALANCE_EXCEEDED');
    expect((await ask('', asked, { ...forbidden, ...forTenant(null) })).code).toBe('QUOTA_BALANCE_EXCEEDED');
    expect((await ask('', asked, { ...forbidden, ...forTenant(true) })).code).toBeNull();
  });
});

describe('a stream that is dearer than its hold', () => {
  const long = 'tokens=3000&ignore_maximum=true';

  it('goes on where the balance has more', async () => {
    poor = await given.parts.addTenant('1');
    const client = await ask(long, { stream: true, max_tokens: 300 }, forbidden);
    expect(client.text).toContain('[DONE]');
    expect(await rowOf()).toMatchObject({ status: 'COMMITTED', outputTokens: 3000 });
  });

  it('ends before the first event that is not covered, and upstream is cancelled', async () => {
    const client = await ask(`${long}&tokens_per_second=1000`, { stream: true, max_tokens: 300 }, forbidden);
    expect(client.text).toContain('"code":"QUOTA_BALANCE_EXCEEDED"');
    expect(client.text).not.toContain('[DONE]');
    await given.parts.simulator.requests.settled();
    expect(given.parts.simulator.requests.last).toMatchObject({ outcome: 'aborted' });
    const { balance, held } = await stateOf(given.parts, poor.id);
    expect(balance).toBeGreaterThanOrEqual(0n);
    // Nothing that another event could have been paid with was left.
    expect(balance).toBeLessThan(parseAmount('0.00001'));
    expect(held).toBe(0n);
  });

  it('has one more step where it may overdraw', async () => {
    await ask(long, { stream: true });
    const { balance } = await stateOf(given.parts, poor.id);
    expect(balance).toBeLessThan(0n);
    expect(balance).toBeGreaterThanOrEqual(-512n * parseAmount('0.000002'));
  });

  it('is refused with a status, and costs nothing, where not even its first event is covered', async () => {
    const prompt = event({ choices: [], usage: { prompt_tokens: 50_000, completion_tokens: 1 } });
    const upstreams = answering(200, sse, prompt + delta('a'), done);
    const client = await ask('', { stream: true, max_tokens: 300 }, { ...forbidden, upstreams });
    expect(client.code).toBe('QUOTA_BALANCE_EXCEEDED');
    expect(await rowOf()).toMatchObject({ status: 'VOIDED' });
  });

  it('for reasoning that nobody saw ends before its closing event, and pays what was delivered', async () => {
    const usage = { prompt_tokens: 12, completion_tokens: 9000 };
    const told = delta('The sea.') + event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
    const counted = event({ choices: [], usage });
    for (const [policy, ...end] of [
      [forbidden, counted, done],
      [permitted, counted, done],
      // Its last event is taken only when the body is over.
      [forbidden, counted.trimEnd()],
      [permitted, counted.trimEnd()],
    ] as const) {
      poor = await given.parts.addTenant('0.002');
      const upstreams = answering(200, sse, told, ...end);
      const client = await ask('', { stream: true, max_tokens: 300 }, { ...policy, upstreams });
      expect(client.text).toContain('The sea.');
      expect(client.text).toContain('QUOTA_BALANCE_EXCEEDED');
      expect(client.text).not.toContain('[DONE]');
      expect(await rowOf()).toMatchObject({ status: 'COMMITTED', usageMethod: 'tiktoken', outputTokens: 3 });
    }
  });

  it('says so in its usage record', async () => {
    await ask(long, { stream: true, max_tokens: 300 }, forbidden);
    const records = await given.parts.driver.query(
      `SELECT outcome, stream_completed, stream_error FROM usage_record WHERE tenant_id = $1`,
      [poor.id],
    );
    expect(records).toEqual([
      { outcome: 'balance_exhausted', stream_completed: false, stream_error: 'QUOTA_BALANCE_EXCEEDED' },
    ]);
  });
});

describe('an answer, not a stream, that is dearer than its hold', () => {
  it('is not delivered where negative balances are forbidden, and costs nothing', async () => {
    const client = await ask('tokens=3000&ignore_maximum=true', { max_tokens: 300 }, forbidden);
    expect(client.code).toBe('QUOTA_BALANCE_EXCEEDED');
    expect(await rowOf()).toMatchObject({ status: 'VOIDED' });
  });

  it('is, where they are permitted, and the balance falls by all of it', async () => {
    const client = await ask('tokens=3000&ignore_maximum=true', { max_tokens: 300 }, permitted);
    expect(client.head).toMatchObject({ kind: 'upstream', status: 200 });
    expect(await rowOf()).toMatchObject({ status: 'COMMITTED', outputTokens: 3000 });
    expect((await stateOf(given.parts, poor.id)).balance).toBeLessThan(0n);
  });
});

describe('hot state that is away while a stream grows', () => {
  it('ends it with its own code after one step, and it is charged', async () => {
    poor = await given.parts.addTenant('1');
    const hot = losableHotState(() => createMemoryHotState({ clock: systemClock }));
    const gate = Promise.withResolvers<void>();
    const upstreams: UpstreamClient = {
      send: async () => ({
        kind: 'response',
        status: 200,
        headers: sse,
        body: (async function* () {
          yield Buffer.from(delta('The'));
          await gate.promise;
          for (let word = 0; word < 4000; word++) yield Buffer.from(delta(' sea'));
          yield Buffer.from(done);
        })(),
      }),
      close: async () => undefined,
    };
    const client = new RecordedClient();
    const pipeline = given.parts.pipeline({ hotState: hot.hotState, upstreams });
    const served = pipeline.serve(requestOf(poor.apiKey, '', { stream: true }), client);
    await until(() => client.text.includes('The'));
    hot.goAway();
    gate.resolve();
    await until(() => client.text.includes('HOT_STATE_UNAVAILABLE'));
    hot.comeBack();
    await served;
    await pipeline.idle();
    const { outputTokens } = (await rowOf()) as { outputTokens: number };
    expect(outputTokens).toBeGreaterThan(1024);
    expect(outputTokens).toBeLessThan(1024 + 512 + 50);
  });
});
