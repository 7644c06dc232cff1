import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A provider for crowds: each answer costs it next to nothing. */
export interface SlowProvider {
  /** As OpenAI's SDK takes it. */
  readonly url: string;
  /** Requests that it is answering. */
  readonly open: number;
  close(): Promise<void>;
}

/** What its models do. */
export const slowModels = {
  /** One event at once, and another every ten seconds. */
  idle: 'idle',
  /** Events of 2 KB without an end, as fast as they are taken. */
  endless: 'endless',
  /** A whole answer of 32 MB. */
  large: 'large',
  quick: 'quick',
} as const;

const idleBeatMs = 10_000;
const largeTextLength = 32 * 1024 * 1024;

/** Providers pad their events, so that their lengths don't tell the words: most of a stream is no text. */
const eventOf = (content: string, padding = '') => {
  const choices = [{ index: 0, delta: { content } }];
  const chunk = { id: 'c', object: 'chat.completion.chunk', choices, obfuscation: padding };
  return Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`);
};
const answerOf = (content: string) =>
  Buffer.from(
    JSON.stringify({
      id: 'c',
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 },
    }),
  );
const smallEvent = eventOf('word ');
const largeEvent = eventOf('word ', 'x'.repeat(2000));
const quickAnswer = answerOf('A word.');
const largeAnswer = answerOf('word '.repeat(largeTextLength / 5));

export async function startSlowProvider(): Promise<SlowProvider> {
  const open = new Set<ServerResponse>();
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    open.add(response);
    response.on('close', () => open.delete(response));
    response.on('error', () => undefined);
    void answer(request, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    get open() {
      return open.size;
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { model } = JSON.parse(Buffer.concat(chunks).toString()) as { model: string };
  switch (model) {
    case slowModels.idle:
      return idle(response);
    case slowModels.endless:
      return endless(response);
    default: {
      const body = model === slowModels.large ? largeAnswer : quickAnswer;
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
      response.end(body);
    }
  }
}

function idle(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(smallEvent);
  const beat = setInterval(() => response.write(smallEvent), idleBeatMs);
  response.on('close', () => clearInterval(beat));
}

function endless(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const pour = () => {
    while (!response.destroyed && response.write(largeEvent));
  };
  response.on('drain', pour);
  pour();
}
