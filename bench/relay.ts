import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';

// A relay that does nothing else: what any gateway on Node has to spend. It hands each request's bytes on as they
// come, and the answer's as they come; it reads no JSON, counts nothing and keeps nothing.

const upstream = new URL(process.env.UPSTREAM_URL ?? '');
const agent = new Agent({ pipelining: 1 });

async function relay(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { 'content-type': type = '', 'content-length': length = '0' } = request.headers;
  const answer = await agent.request({
    origin: upstream.origin,
    path: `${upstream.pathname}/chat/completions`,
    method: 'POST',
    headers: { 'content-type': type, 'content-length': length, authorization: 'Bearer upstream' },
    body: request,
  });
  const { 'content-type': answerType, 'content-length': answerLength } = answer.headers;
  response.writeHead(answer.statusCode, {
    ...(answerType === undefined ? {} : { 'content-type': String(answerType) }),
    ...(answerLength === undefined ? {} : { 'content-length': String(answerLength) }),
  });
  answer.body.on('error', () => response.destroy());
  answer.body.pipe(response);
}

const server = createServer((request, response) => {
  relay(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`ready on http://127.0.0.1:${port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
