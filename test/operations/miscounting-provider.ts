import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface MiscountingProvider {
  /** As OpenAI's SDK takes it. */
  readonly url: string;
  close(): Promise<void>;
}

/** Streams forty tokens, and reports fifty. */
export async function startMiscountingProvider(): Promise<MiscountingProvider> {
  const chunk = { id: 'c', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'gpt-4o' };
  const eventOf = (value: object) => `data: ${JSON.stringify({ ...chunk, ...value })}\n\n`;
  const answer = [
    eventOf({ choices: [{ index: 0, delta: { role: 'assistant', content: ' sea'.repeat(40) } }] }),
    eventOf({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
    eventOf({ choices: [], usage: { prompt_tokens: 13, completion_tokens: 50, total_tokens: 63 } }),
    'data: [DONE]\n\n',
  ].join('');
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.writeHead(200, { 'content-type': 'text/event-stream' }).end(answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
