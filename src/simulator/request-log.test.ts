import { expect, test } from 'vitest';
import { RecordingLog } from './request-log.ts';

const arrival = (path: string, body = '') => ({
  method: 'POST',
  path,
  query: '',
  headers: {},
  body,
});

test('the log counts all requests and keeps the last thousand', () => {
  const log = new RecordingLog();
  for (let at = 0; at < 1005; at++)
    log.close(log.add(arrival(`/${at}`)), at % 2 === 0 ? 'completed' : 'aborted');
  expect(log).toMatchObject({ count: 1005, open: 0, completed: 503, aborted: 502 });
  expect(log.recent).toHaveLength(1000);
  expect(log.recent[0]).toMatchObject({ path: '/5' });
  expect(log.last).toMatchObject({ path: '/1004' });
});

test('the log keeps 64 MB of bodies, and the last one however large', () => {
  const log = new RecordingLog();
  const body = 'x'.repeat(30 * 1024 * 1024);
  for (const path of ['/a', '/b', '/c']) log.add(arrival(path, body));
  expect(log.recent.map(({ path }) => path)).toEqual(['/b', '/c']);
  log.add(arrival('/d', 'x'.repeat(70 * 1024 * 1024)));
  expect(log.recent.map(({ path }) => path)).toEqual(['/d']);
});

test('sums what was sent when a request ends', () => {
  const log = new RecordingLog();
  const request = log.add(arrival('/'));
  Object.assign(request, { bytesSent: 300, eventsSent: 3, tokensSent: 2 });
  expect(log).toMatchObject({ bytesSent: 0, eventsSent: 0, tokensSent: 0 });
  log.close(request, 'broken');
  expect(log).toMatchObject({ broken: 1, bytesSent: 300, eventsSent: 3, tokensSent: 2 });
});

test('it is settled once no request is open', async () => {
  const log = new RecordingLog();
  await log.settled();
  const requests = [log.add(arrival('/a')), log.add(arrival('/b'))];
  let isSettled = false;
  const settled = log.settled().then(() => {
    isSettled = true;
  });
  for (const request of requests) {
    await Promise.resolve();
    expect(isSettled).toBe(false);
    log.close(request, 'completed');
  }
  await settled;
  expect(isSettled).toBe(true);
});

test('clearing forgets what is closed and keeps what is open', () => {
  const log = new RecordingLog();
  log.close(log.add(arrival('/closed')), 'refused');
  const open = log.add(arrival('/open'));
  log.clear();
  expect(log).toMatchObject({ count: 1, open: 1, refused: 0 });
  expect(log.recent).toEqual([open]);
  log.close(open, 'completed');
  expect(log).toMatchObject({ count: 1, open: 0, completed: 1 });
});
