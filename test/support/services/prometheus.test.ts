import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PrometheusOptions, type PrometheusServer, startPrometheus } from './prometheus.ts';
import { waitUntil } from './wait-until.ts';

let undo: AsyncDisposableStack;

beforeEach(() => {
  undo = new AsyncDisposableStack();
});
afterEach(() => undo.disposeAsync());

async function start(options: PrometheusOptions): Promise<PrometheusServer> {
  const server = await startPrometheus(options);
  undo.defer(() => server.stop());
  return server;
}

/** Something with metrics, as `host:port`. */
async function target(text: string): Promise<string> {
  const server = createServer((_, response) => response.end(text)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.defer(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const rules = JSON.stringify({
  groups: [
    {
      name: 'tides',
      rules: [{ alert: 'High', expr: 'tide_metres > 2', annotations: { summary: '{{ $value }} m' } }],
    },
  ],
});

describe('a Prometheus of a test', () => {
  it('scrapes its targets, and tells what is firing', async () => {
    const instance = await target('tide_metres 3\n');
    const prometheus = await start({ targets: [instance], rules: [rules], scrapeEveryMs: 200 });
    await waitUntil({
      what: 'the alert fires',
      isSo: async () => (await prometheus.alerts()).some(({ state }) => state === 'firing'),
      withinMs: 20_000,
    });
    const labels = { job: 'tollgate', instance };
    expect(await prometheus.query('tide_metres * 2')).toEqual([{ labels, value: 6 }]);
    expect(await prometheus.query('tide_metres / 0')).toEqual([{ labels, value: Number.POSITIVE_INFINITY }]);
    expect(await prometheus.query('scalar(tide_metres)')).toEqual([{ labels: {}, value: 3 }]);
    expect(await prometheus.query('tide_metres', Date.now() - 3_600_000)).toEqual([]);
    expect(await prometheus.alerts()).toEqual([
      { name: 'High', state: 'firing', labels, annotations: { summary: '3 m' } },
    ]);
  });

  it('says what is wrong with an expression, and with its rules', async () => {
    const prometheus = await start({ targets: [] });
    await expect(prometheus.query('sum(')).rejects.toThrow(/parse error/);
    await expect(startPrometheus({ targets: [], rules: ['groups: 3'] })).rejects.toThrow(/0\.yml/);
  });
});
