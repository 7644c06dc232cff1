import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';

interface Service {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly ports: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: unknown;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const file = new URL('../../ops/compose.yaml', import.meta.url);
let compose: Compose;
beforeAll(async () => {
  compose = parse(await readFile(file, 'utf8'));
});
const services = () => Object.entries(compose.services);

/** What compose makes of a text where no variable is set. */
const byDefault = (text: string) => text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');

it('starts Prometheus and Grafana only where they are asked for', () => {
  const profiles = Object.fromEntries(services().map(([name, { profiles = [] }]) => [name, profiles]));
  expect(profiles).toEqual({
    postgres: [],
    redis: [],
    prometheus: ['operations'],
    grafana: ['operations'],
  });
});

it('names a version of each image, and knows when it is ready', () => {
  for (const [name, { image, healthcheck }] of services()) {
    expect(image, name).toMatch(/:v?\d[\w.]*$/);
    expect(healthcheck, name).toBeDefined();
  }
});

it('listens on loopback alone, on ports that neither each other nor a gateway have', () => {
  const ports = services().flatMap(([, service]) => service.ports.map(byDefault));
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  const published = [...ports.map((port) => Number(port.split(':')[1])), 8000, 9090];
  expect(new Set(published).size).toBe(published.length);
});

it('mounts what there is', () => {
  for (const [name, { volumes = [] }] of services()) {
    for (const [source = ''] of volumes.map((volume) => volume.split(':'))) {
      if (source.startsWith('.')) expect(existsSync(new URL(source, file)), `${name}: ${source}`).toBe(true);
      else expect(Object.keys(compose.volumes), name).toContain(source);
    }
  }
});

it('lets nobody into Grafana without a password', () => {
  expect(compose.services.grafana?.environment).toMatchObject({
    GF_AUTH_ANONYMOUS_ENABLED: 'false',
    GF_USERS_ALLOW_SIGN_UP: 'false',
    GF_SECURITY_ADMIN_PASSWORD: expect.stringMatching(/^\$\{GRAFANA_PASSWORD/),
  });
});
