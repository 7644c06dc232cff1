import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from 'vitest';
import { exchange, send } from './raw-client.ts';
import { runSimulator } from './run.ts';

const program = `
  const { runSimulator } = await import(${JSON.stringify(new URL('./run.ts', import.meta.url).href)});
  await runSimulator(process.env);
`;
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

async function start() {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, SIM_PORT: '0', SIM_SEED: 'process' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  await once(reader, 'line');
  const exit = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  return { child, lines, exit, url: /http:\S+/.exec(lines[0] ?? '')?.[0] ?? '' };
}

const chat = (directives: string) => ({
  model: `sim-small?${directives}`,
  messages: [{ role: 'user', content: 'Hi' }],
  stream: true,
});

describe('the simulator as a process', () => {
  test('prints one line with its base URL and serves there', async () => {
    const { lines, url } = await start();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/);
    expect((await exchange(url, { method: 'GET', path: '/v1/models' })).status).toBe(200);
    expect(lines).toHaveLength(1);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'finishes its answers on %s and then ends well',
    async (signal) => {
      const { child, exit, url } = await start();
      let arrived = '';
      const socket = send(url, { body: chat('ttfb_ms=0&tokens_per_second=100&tokens=20') });
      socket.on('data', (bytes) => {
        if (arrived === '') child.kill(signal);
        arrived += bytes.toString();
      });
      await once(socket, 'close');
      expect(arrived).toContain('[DONE]');
      expect(await exit).toEqual({ code: 0, signal: null });
    },
  );

  test('ends at once on a second signal', async () => {
    const { child, exit, url } = await start();
    const socket = send(url, { body: chat('ttfb_ms=0&fault=stall') });
    socket.on('error', () => {});
    await once(socket, 'data');
    child.kill('SIGTERM');
    const refused = async () => (await exchange(url, { method: 'GET', path: '/v1/models' })).raw.length === 0;
    while (!(await refused()));
    child.kill('SIGTERM');
    expect(await exit).toEqual({ code: null, signal: 'SIGTERM' });
  });

  test('says which variable is not valid', async () => {
    await expect(runSimulator({ SIM_PORT: 'eighty' })).rejects.toThrow(/SIM_PORT/);
    await expect(runSimulator({ SIM_PORT: '70000' })).rejects.toThrow(/SIM_PORT/);
  });
});
