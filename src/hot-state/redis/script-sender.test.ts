import { describe, expect, test } from 'vitest';
import { useRedis } from '../../../test/support/use-redis.ts';
import type { TenantId } from '../../domain/ids.ts';

const redis = useRedis();
const tenantId = 'acme' as TenantId;
const lockMs = 60_000;

describe('a script', () => {
  test.each([
    ['ASCII', 'plain'],
    ['characters of several bytes', 'größer, 大きい, 🙂'],
    ['line breaks and what looks like the protocol', '$3\r\nfoo\r\n'],
    ['nothing', ''],
  ])('is told arguments and keys of %s as they are', async (_, text) => {
    const { run, client } = redis;
    const owner = { tenantId, sessionId: `session ${text}` };
    expect(await run('session_lock', owner, [text, lockMs])).toBe(1);
    expect(await client.get(`gw:lock:session:{acme}:session ${text}`)).toBe(text);
    await run('session_unlock', owner, [text]);
    expect(await client.get(`gw:lock:session:{acme}:session ${text}`)).toBeNull();
  });

  test('that is sent with others of its turn has its own answer', async () => {
    const { run } = redis;
    const lock = (sessionId: string, holder: string) =>
      run('session_lock', { tenantId, sessionId }, [holder, lockMs]);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, one) => lock(`turn ${one % 50}`, `holder ${one}`)),
    );
    expect(answers).toEqual(Array.from({ length: 100 }, (_, one) => (one < 50 ? 1 : 0)));
  });

  test('is sent though nothing else happens', async () => {
    const { run } = redis;
    expect(await run('session_lock', { tenantId, sessionId: 'alone' }, ['holder', lockMs])).toBe(1);
  });
});
