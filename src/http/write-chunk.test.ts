import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { writeChunk } from './write-chunk.ts';

let stop = () => {};
afterEach(() => stop());

/** A server that answers each request so; its port. */
async function serve(answer: (response: ServerResponse) => void): Promise<number> {
  const server = createServer((_, response) => answer(response));
  stop = () => {
    server.closeAllConnections();
    server.close();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function ask(port: number, version: string): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.write(`GET / HTTP/${version}\r\nhost: test\r\nconnection: close\r\n\r\n`);
  return socket;
}

const pieces = [1, 0, 15, 16, 200, 4_096, 8_192, 8_193, 100_000, 3].map((size, index) =>
  Buffer.alloc(size, 97 + index),
);
const all = Buffer.concat(pieces);

function answerInPieces(response: ServerResponse): void {
  response.writeHead(200);
  for (const [index, piece] of pieces.entries()) {
    if (index === 0) response.write(piece);
    else writeChunk(response, piece);
  }
  response.end();
}

it('what is written in pieces of any size arrives as it was written', async () => {
  const port = await serve(answerInPieces);
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  expect(answer.headers.get('transfer-encoding')).toBe('chunked');
  expect(Buffer.from(await answer.arrayBuffer()).equals(all)).toBe(true);
});

it('a client that knows no chunks is sent none', async () => {
  const socket = ask(await serve(answerInPieces), '1.0');
  const received: Buffer[] = [];
  for await (const bytes of socket) received.push(bytes);
  const text = Buffer.concat(received).toString();
  expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toBe(all.toString());
});

it('says when the connection has enough, and the connection when it has room again', async () => {
  const piece = Buffer.alloc(8_000);
  const full = Promise.withResolvers<Socket>();
  const port = await serve((response) => {
    response.writeHead(200);
    response.write(piece);
    // More than what the system takes for a client that doesn't read.
    for (let written = 1; written < 2_000; written++) writeChunk(response, piece);
    expect(writeChunk(response, piece)).toBe(false);
    if (response.socket !== null) full.resolve(response.socket);
  });
  const socket = ask(port, '1.1');
  const connection = await full.promise;
  expect(connection.writableNeedDrain).toBe(true);
  const drained = once(connection, 'drain');
  socket.resume();
  await drained;
});

it('to a client that is gone is written nothing, and nothing fails', async () => {
  const closed = Promise.withResolvers<ServerResponse>();
  const port = await serve((response) => {
    response.writeHead(200);
    response.write('a');
    response.on('close', () => closed.resolve(response));
  });
  const socket = ask(port, '1.1');
  await once(socket, 'data');
  socket.destroy();
  const response = await closed.promise;
  response.on('error', () => undefined);
  expect(writeChunk(response, Buffer.from('b'))).toBe(false);
});
