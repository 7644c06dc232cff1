import { describe, expect, it } from 'vitest';
import { RecordedClient, streamContext } from '../../test/support/pipeline.ts';
import { openaiChat } from '../dialects/openai-chat/index.ts';
import { systemClock } from '../domain/clock.ts';
import { UpstreamBodyError } from '../upstream/upstream.ts';
import { relayStream } from './relay.ts';

const delta = (content: string) => `data: {"choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`;
const done = 'data: [DONE]\n\n';
const finished = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';

const mayDeliver = () => null;
const coversAll = { isCertain: () => true, took: () => undefined, decide: () => null };

/** Relays what `body` brings; the client is told to be gone by the body where a test says so. */
async function relay(body: (client: RecordedClient) => AsyncIterable<string>) {
  const client = new RecordedClient();
  async function* bytes() {
    for await (const text of body(client)) yield Buffer.from(text);
  }
  const follower = openaiChat.followStream(streamContext());
  const response = { kind: 'response' as const, status: 200, headers: {}, body: bytes() };
  const start = () => client.start({ kind: 'upstream', status: 200, headers: {} });
  const { signal } = new AbortController();
  const relayed = await relayStream({
    response,
    follower,
    cover: coversAll,
    client,
    signal,
    clock: systemClock,
    mayDeliver,
    start,
  });
  return { client, follower, ...relayed, heldBack: Buffer.concat(relayed.heldBack).toString() };
}

describe('a relayed stream', () => {
  it('passes events on and holds back everything from the closing event on', async () => {
    const { client, outcome, heldBack } = await relay(async function* () {
      yield delta('a');
      yield `${delta('b')}${done}: after the end\n\n`;
      yield ': and more\n\n';
    });
    expect(client.text).toBe(delta('a') + delta('b'));
    expect(heldBack).toBe(`${done}: after the end\n\n: and more\n\n`);
    expect(outcome).toBe('completed');
  });

  it('is complete with its closing event, though upstream never closes', async () => {
    const { outcome, complete, heldBack } = await relay(async function* () {
      yield delta('a') + done;
      await new Promise(() => undefined);
    });
    expect([outcome, complete, heldBack]).toEqual(['completed', true, done]);
  });

  it('is complete with its closing event, though the connection breaks behind it', async () => {
    const { outcome, complete, heldBack } = await relay(async function* () {
      yield delta('a') + done;
      throw new UpstreamBodyError('cut');
    });
    expect([outcome, complete, heldBack]).toEqual(['completed', true, done]);
  });

  it('without a closing event ends with its body, which waits for the commit too', async () => {
    const { client, outcome, heldBack } = await relay(async function* () {
      yield delta('a');
      yield finished.trimEnd();
    });
    expect(client.text).toBe(delta('a'));
    expect(heldBack).toBe(finished.trimEnd());
    expect(outcome).toBe('completed');
  });

  it('that ends in the middle, with neither a closing event nor a finish reason, was cut', async () => {
    const { client, outcome, complete, heldBack } = await relay(async function* () {
      yield delta('a');
      yield delta('b').slice(0, 20);
    });
    expect([outcome, complete, client.text, heldBack]).toEqual(['upstream_cut', false, delta('a'), '']);
  });

  it('that ends behind its usage is complete, with or without the rest', async () => {
    const usage =
      'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}\n\n';
    const { outcome, complete } = await relay(async function* () {
      yield delta('a') + usage;
    });
    expect([outcome, complete]).toEqual(['completed', true]);
  });

  it('does not wait for an upstream that goes on sending behind its closing event, nor keep all of it', async () => {
    let sent = 0;
    const { outcome, heldBack } = await relay(async function* () {
      yield delta('a') + done;
      for (; sent < 1000; sent++) yield `: ${'x'.repeat(1024)}\n\n`;
    });
    expect(outcome).toBe('completed');
    expect(sent).toBeLessThan(100);
    expect(heldBack.length).toBeLessThan(128 * 1024);
  });

  it('does not read on while the client does not, and stops waiting when the exchange is cancelled', async () => {
    const client = new RecordedClient();
    const cancelled = new AbortController();
    let read = 0;
    client.write = () => false;
    client.drained = () => new Promise(() => undefined);
    async function* bytes() {
      for (; read < 100; read++) yield Buffer.from(delta('a'));
      throw new UpstreamBodyError('aborted');
    }
    const relaying = relayStream({
      cover: coversAll,
      response: { kind: 'response', status: 200, headers: {}, body: bytes() },
      follower: openaiChat.followStream(streamContext()),
      client,
      signal: cancelled.signal,
      clock: systemClock,
      mayDeliver,
      start: () => client.start({ kind: 'upstream', status: 200, headers: {} }),
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(read).toBeLessThan(2);
    cancelled.abort();
    expect((await relaying).outcome).toBe('timeout');
  });

  it.each([
    ['cut', 'upstream_cut'],
    ['timeout', 'timeout'],
  ] as const)('that breaks by %s is %s, and keeps what was delivered', async (reason, expected) => {
    const { client, outcome, complete, follower } = await relay(async function* () {
      yield delta('a');
      throw new UpstreamBodyError(reason);
    });
    expect([outcome, complete, client.text]).toEqual([expected, false, delta('a')]);
    expect(follower.reading().generated.texts.join('')).toBe('a');
  });

  it('with an event larger than any honest one is an upstream error, in bounded memory', async () => {
    const { outcome, complete } = await relay(async function* () {
      yield delta('a');
      for (let mebibyte = 0; mebibyte < 40; mebibyte++) yield 'x'.repeat(1024 * 1024);
    });
    expect([outcome, complete]).toEqual(['upstream_error', false]);
  });

  it('is not written to a client that is gone', async () => {
    const { client, outcome } = await relay(async function* (gone) {
      yield delta('a');
      gone.hangUp();
      yield delta('b');
    });
    expect([client.text, outcome]).toEqual([delta('a'), 'client_gone']);
  });

  it('that brings nothing starts no answer', async () => {
    const { client, started } = await relay(async function* () {
      yield '';
    });
    expect([client.head, started]).toEqual([null, false]);
  });
});
