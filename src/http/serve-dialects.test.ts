import { connect } from 'node:net';
import fastify from 'fastify';
import { expect, it } from 'vitest';
import { quietObserver } from '../../test/support/quiet-observer.ts';
import type { Catalog, Credentials } from '../catalog/catalog.ts';
import { dialects } from '../dialects/dialects.ts';
import { ByteBudget } from '../domain/byte-budget.ts';
import { systemClock } from '../domain/clock.ts';
import type { Pipeline } from '../gateway/pipeline.ts';
import { serveDialects } from './serve-dialects.ts';

const known = { apiKey: { revokedAt: null, expiresAt: null, allowedNetworks: null } } as Credentials;

it('a client that leaves while its API key is looked up takes no place with it', async () => {
  const lookedUp = Promise.withResolvers<Credentials>();
  const asked = Promise.withResolvers<void>();
  let askedBefore = false;
  const findApiKey = () => {
    if (askedBefore) return known;
    askedBefore = true;
    asked.resolve();
    return lookedUp.promise;
  };
  const server = fastify();
  serveDialects(server, {
    catalog: { findApiKey } as Partial<Catalog> as Catalog,
    pipeline: {
      inFlight: 0,
      serve: async (_, client) => {
        client.start({ kind: 'upstream', status: 200, headers: {} });
        client.end(Buffer.from('served'));
      },
    } as Partial<Pipeline> as Pipeline,
    clock: systemClock,
    observer: quietObserver,
    tracer: null,
    dialects,
    bounds: {
      maxBodyBytes: 1_000,
      bodies: new ByteBudget(10_000),
      maxUnsentBytes: 1_000,
      maxRequests: 1,
      stallMs: 60_000,
    },
  });
  const url = new URL(await server.listen({ host: '127.0.0.1', port: 0 }));
  try {
    const leaving = connect(Number(url.port), url.hostname);
    const left = Promise.withResolvers<void>();
    server.server.once('connection', (socket) => socket.once('close', () => left.resolve()));
    leaving.write(
      'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n',
    );
    await asked.promise;
    leaving.destroy();
    await left.promise;
    lookedUp.resolve(known);
    await new Promise((resolve) => setImmediate(resolve));
    const answer = await fetch(new URL('/v1/chat/completions', url), {
      method: 'POST',
      headers: { authorization: 'Bearer x' },
      body: '{}',
    });
    expect(answer.status).toBe(200);
  } finally {
    await server.close();
  }
});
