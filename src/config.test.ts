import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig } from './config.ts';

describe('the environment', () => {
  it('may be empty: everything has a default', () => {
    expect(readConfig({})).toEqual({
      host: '127.0.0.1',
      port: 8000,
      databaseUrl: null,
      dataDir: './data',
      redis: null,
      workers: 1,
      adminToken: null,
      trustedProxies: [],
      demo: true,
      providers: [],
      bounds: {
        maxBodyBytes: 33_554_432,
        maxHeldBytes: 134_217_728,
        maxRequests: 8_000,
        maxConnections: 10_000,
        clientStallMs: 60_000,
      },
      drainMs: 30_000,
      logLevel: 'info',
      billing: { allowNegative: false, streamAllowNegative: true, blockOnInsufficient: true },
      prometheus: { host: '127.0.0.1', port: 9090, isAskedFor: false },
      reconcileMs: 60_000,
      tracing: null,
    });
  });

  it('reads the networks of proxies, and names one that is none', () => {
    expect(readConfig({ TRUSTED_PROXIES: '10.0.0.0/8, fd00::/8,192.0.2.1' }).trustedProxies).toEqual([
      '10.0.0.0/8',
      'fd00::/8',
      '192.0.2.1',
    ]);
    expect(() => readConfig({ TRUSTED_PROXIES: '10.0.0.0/8,10.0.0.0/33' })).toThrow(
      /TRUSTED_PROXIES: has to be networks in CIDR notation/,
    );
  });

  it('takes an empty variable as none', () => {
    expect(readConfig({ ADMIN_TOKEN: '', PORT: '', OPENAI_API_KEY: '', DATABASE_URL: '' })).toEqual(
      readConfig({}),
    );
  });

  it('keeps the key of a provider out of the config', () => {
    const config = readConfig({ OPENAI_API_KEY: 'sk-planted', OPENAI_BASE_URL: 'http://localhost:1/v1/' });
    expect(config.providers).toEqual([{ name: 'openai', baseUrl: 'http://localhost:1/v1' }]);
    expect(JSON.stringify(config)).not.toContain('sk-planted');
  });

  it('has the providers whose keys are set, each where its own SDK finds it', () => {
    const keys = { GEMINI_API_KEY: 'g', ANTHROPIC_API_KEY: 'a', OPENAI_API_KEY: '' };
    expect(readConfig(keys).providers).toEqual([
      { name: 'anthropic', baseUrl: 'https://api.anthropic.com' },
      { name: 'gemini', baseUrl: 'https://generativelanguage.googleapis.com' },
    ]);
    expect(() => readConfig({ ...keys, GEMINI_BASE_URL: 'ftp://x' })).toThrow('GEMINI_BASE_URL');
  });

  it.each([
    'postgres://tollgate:secret@db.example:5432/ledger?sslmode=require',
    'postgresql://localhost/ledger',
  ])('takes %s as the ledger', (url) => {
    expect(readConfig({ DATABASE_URL: url }).databaseUrl).toBe(url);
  });

  it.each(['mysql://root:planted@db/ledger', 'host=db password=planted', 'db:5432'])(
    'refuses %s as the ledger, without repeating a password',
    (url) => {
      const read = () => readConfig({ DATABASE_URL: url });
      expect(read).toThrow(/^DATABASE_URL: has to be a URL such as postgres:/);
      expect(read).not.toThrow('planted');
    },
  );

  it('has metrics on 9090 unless it is told otherwise, and knows whether somebody asked for them', () => {
    const read = (environment: Record<string, string>) => readConfig(environment).prometheus;
    expect(read({ PROMETHEUS_PORT: '9100' })).toMatchObject({ port: 9100, isAskedFor: true });
    expect(read({ PROMETHEUS_ENABLED: 'true' })).toMatchObject({ port: 9090, isAskedFor: true });
    expect(read({ PROMETHEUS_ENABLED: 'false', PROMETHEUS_PORT: '9100' })).toBeNull();
    // What Kubernetes puts there for a service named "prometheus".
    expect(read({ PROMETHEUS_PORT: 'tcp://10.0.0.9:9090' })).toMatchObject({ port: 9090, isAskedFor: false });
    expect(read({ HOST: '0.0.0.0' })?.host).toBe('0.0.0.0');
    expect(read({ HOST: '10.0.0.5', PROMETHEUS_HOST: '127.0.0.1' })?.host).toBe('127.0.0.1');
    expect(() => read({ PROMETHEUS_PORT: '99999' })).toThrow(/^PROMETHEUS_PORT: /);
  });

  it('says of streams, and of what is none, whether they may cost more than there is', () => {
    const environment = { BILLING_ALLOW_NEGATIVE: 'true', BILLING_STREAM_ALLOW_NEGATIVE: 'false' };
    expect(readConfig(environment)).toMatchObject({
      billing: { allowNegative: true, streamAllowNegative: false, blockOnInsufficient: true },
    });
    expect(() => readConfig({ BILLING_ALLOW_NEGATIVE: 'sometimes' })).toThrow(/^BILLING_ALLOW_NEGATIVE: /);
  });

  it('names every variable at fault in one go', () => {
    const read = () => readConfig({ PORT: '70000', LOG_LEVEL: 'loud', REDIS_URL: 'http://x', WORKERS: '65' });
    expect(read).toThrow(ConfigError);
    for (const name of ['PORT', 'LOG_LEVEL', 'REDIS_URL', 'WORKERS']) expect(read).toThrow(name);
  });
});

describe('several processes', () => {
  const shared = { REDIS_URL: 'redis://cache', DATABASE_URL: 'postgres://db/ledger' };

  it('are permitted on a Redis and a Postgres that they share', () => {
    expect(readConfig({ ...shared, WORKERS: '64' }).workers).toBe(64);
  });

  it.each([
    ['a Redis', { DATABASE_URL: shared.DATABASE_URL }, ['set REDIS_URL']],
    ['a Postgres', { REDIS_URL: shared.REDIS_URL }, ['set DATABASE_URL']],
    ['both', {}, ['set REDIS_URL', 'set DATABASE_URL']],
  ])('are refused without %s, saying what to set', (_, environment, advice) => {
    const read = () => readConfig({ ...environment, WORKERS: '2' });
    for (const words of advice) expect(read).toThrow(words);
    expect(read).toThrow(/^(WORKERS: .+\n?)+$/);
  });

  it.each(['0', '65', '1.5', 'many'])('are not %s', (workers) => {
    expect(() => readConfig({ ...shared, WORKERS: workers })).toThrow(/^WORKERS: /);
  });

  it('need not be several: one takes Redis with the embedded ledger', () => {
    expect(readConfig({ REDIS_URL: shared.REDIS_URL, WORKERS: '1' })).toMatchObject({
      workers: 1,
      databaseUrl: null,
      redis: { kind: 'single' },
    });
  });
});
