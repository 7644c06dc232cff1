import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from '../config.ts';

const redisOf = (environment: Readonly<Record<string, string>>) => readConfig(environment).redis;

describe('the address of Redis', () => {
  it.each(['redis://cache', 'redis://:s%40cret@cache:6380/3', 'rediss://gateway:secret@cache.example:6380'])(
    'is taken as the URL %s',
    (url) => {
      expect(redisOf({ REDIS_URL: url })).toEqual({ kind: 'single', url });
    },
  );

  it('is taken in parts, with the usual port and database where they are left out', () => {
    expect(redisOf({ REDIS_HOST: 'cache' })).toEqual({ kind: 'single', url: 'redis://cache:6379/0' });
    const parts = { REDIS_HOST: '[::1]', REDIS_PORT: '6380', REDIS_DB: '2', REDIS_PASSWORD: 'p@ss/w:rd%' };
    const config = redisOf(parts);
    const url = new URL(config?.kind === 'single' ? config.url : '');
    expect([url.hostname, url.port, url.pathname]).toEqual(['[::1]', '6380', '/2']);
    expect(decodeURIComponent(url.password)).toBe('p@ss/w:rd%');
  });

  it('is taken as nodes of a Cluster', () => {
    expect(redisOf({ REDIS_CLUSTER_NODES: 'a:7000, [::1]:7001,10.0.0.1:7002', REDIS_PASSWORD: 's' })).toEqual(
      {
        kind: 'cluster',
        nodes: [
          { host: 'a', port: 7000 },
          { host: '::1', port: 7001 },
          { host: '10.0.0.1', port: 7002 },
        ],
        password: 's',
      },
    );
  });

  it('is taken from sentinels, which know their master as mymaster unless they are told', () => {
    const sentinels = { REDIS_SENTINELS: 's1:26379,s2:26379' };
    expect(redisOf(sentinels)).toEqual({
      kind: 'sentinel',
      sentinels: [
        { host: 's1', port: 26379 },
        { host: 's2', port: 26379 },
      ],
      name: 'mymaster',
      sentinelPassword: null,
      password: null,
      db: 0,
    });
    const more = {
      REDIS_SENTINEL_NAME: 'gw',
      REDIS_SENTINEL_PASSWORD: 'a',
      REDIS_PASSWORD: 'b',
      REDIS_DB: '1',
    };
    expect(redisOf({ ...sentinels, ...more })).toMatchObject({
      name: 'gw',
      sentinelPassword: 'a',
      password: 'b',
      db: 1,
    });
  });

  it('is none where only what Kubernetes adds for a service named "redis" is set', () => {
    const added = { REDIS_PORT: 'tcp://10.0.0.7:6379', REDIS_SERVICE_HOST: '10.0.0.7' };
    expect(redisOf(added)).toBeNull();
    expect(redisOf({ ...added, REDIS_HOST: 'redis' })).toEqual({
      kind: 'single',
      url: 'redis://redis:6379/0',
    });
  });
});

describe('a bad address of Redis', () => {
  it.each([
    ['REDIS_URL', { REDIS_URL: 'http://:planted@cache' }],
    ['REDIS_URL', { REDIS_URL: 'cache:6379' }],
    ['REDIS_URL', { REDIS_URL: 'redis://:planted@cache/zero' }],
    ['REDIS_URL', { REDIS_URL: 'redis://:planted@cache/0?enableOfflineQueue=true' }],
    ['REDIS_URL', { REDIS_URL: 'redis://:planted%@cache' }],
    ['REDIS_HOST', { REDIS_HOST: 'cache:6379', REDIS_PASSWORD: 'planted' }],
    ['REDIS_HOST', { REDIS_HOST: ':planted@cache' }],
    ['REDIS_PORT', { REDIS_HOST: 'cache', REDIS_PORT: '0' }],
    ['REDIS_DB', { REDIS_HOST: 'cache', REDIS_DB: '-1' }],
    ['REDIS_CLUSTER_NODES', { REDIS_CLUSTER_NODES: 'cache' }],
    ['REDIS_CLUSTER_NODES', { REDIS_CLUSTER_NODES: 'redis://:planted@a:7000' }],
    ['REDIS_CLUSTER_NODES', { REDIS_CLUSTER_NODES: 'a:7000,' }],
    ['REDIS_CLUSTER_NODES', { REDIS_CLUSTER_NODES: 'a:70000' }],
    ['REDIS_SENTINELS', { REDIS_SENTINELS: 'a:26379,b' }],
    ['REDIS_PORT', { REDIS_URL: 'redis://cache', REDIS_PORT: '6380' }],
    ['REDIS_PASSWORD', { REDIS_URL: 'redis://cache', REDIS_PASSWORD: 'planted' }],
    ['REDIS_DB', { REDIS_CLUSTER_NODES: 'a:7000', REDIS_DB: '1' }],
    ['REDIS_SENTINEL_NAME', { REDIS_HOST: 'cache', REDIS_SENTINEL_NAME: 'gw' }],
    ['REDIS_PASSWORD', { REDIS_PASSWORD: 'planted' }],
  ])('is refused by the name of %s in %j, without repeating a password', (name, environment) => {
    const read = () => readConfig(environment as Record<string, string>);
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(new RegExp(`^${name}: .+$`));
    expect(read).not.toThrow('planted');
  });

  it('is refused where two are named, by both their names', () => {
    const read = () => readConfig({ REDIS_URL: 'redis://:planted@a', REDIS_SENTINELS: 'a:26379' });
    expect(read).toThrow(/^REDIS_URL, REDIS_SENTINELS: name one Redis only/);
    expect(read).not.toThrow('planted');
  });
});
