import { describe, expect, it } from 'vitest';
import { readConfig } from '../config.ts';

const on = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

describe('tracing', () => {
  it.each([
    ['without an address', {}],
    ['with an empty one', { OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
    ['where the SDK is disabled', { ...on, OTEL_SDK_DISABLED: 'TRUE' }],
    ['where no traces are exported', { ...on, OTEL_TRACES_EXPORTER: 'none' }],
  ])('is off %s', (_, environment) => {
    expect(readConfig(environment).tracing).toBeNull();
  });

  it.each([
    ['an address of a collector', on],
    ['an address for traces alone', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector/v1/traces' }],
    ['a variable that does not disable it', { ...on, OTEL_SDK_DISABLED: 'false' }],
  ])('is on by %s', (_, environment) => {
    expect(readConfig(environment).tracing).toEqual({
      sampler: { ratio: 1, followsClient: true },
      batch: {
        maxQueueSize: 2_048,
        maxExportBatchSize: 512,
        scheduledDelayMillis: 5_000,
        exportTimeoutMillis: 30_000,
      },
    });
  });

  it.each([
    ['always_on', { ratio: 1, followsClient: false }],
    ['always_off', { ratio: 0, followsClient: false }],
    ['traceidratio', { ratio: 0.25, followsClient: false }],
    ['parentbased_always_off', { ratio: 0, followsClient: true }],
    ['parentbased_traceidratio', { ratio: 0.25, followsClient: true }],
  ])('samples by %s', (sampler, expected) => {
    const environment = { ...on, OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: '0.25' };
    expect(readConfig(environment).tracing?.sampler).toEqual(expected);
  });

  it('sends no more at once than its queue holds', () => {
    const { tracing } = readConfig({ ...on, OTEL_BSP_MAX_QUEUE_SIZE: '100', OTEL_BSP_SCHEDULE_DELAY: '50' });
    expect(tracing?.batch).toMatchObject({
      maxQueueSize: 100,
      maxExportBatchSize: 100,
      scheduledDelayMillis: 50,
    });
  });

  it('keeps where spans go, and with which headers, out of the config', () => {
    const environment = { ...on, OTEL_EXPORTER_OTLP_HEADERS: 'x-key=planted' };
    expect(JSON.stringify(readConfig(environment))).not.toMatch(/planted|collector/);
  });

  it.each([
    ['OTEL_TRACES_SAMPLER', 'sometimes'],
    ['OTEL_TRACES_SAMPLER_ARG', '2'],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '0'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
  ])('refuses %s=%s by name where it is on, and passes it over where it is off', (name, value) => {
    expect(() => readConfig({ ...on, [name]: value })).toThrow(new RegExp(`^${name}: `));
    expect(readConfig({ [name]: value }).tracing).toBeNull();
  });

  it.each(['collector:4318', 'not a url', 'http://[::1'])('refuses to send spans to %s', (endpoint) => {
    const read = () => readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
    expect(read).toThrow(/^OTEL_EXPORTER_OTLP_ENDPOINT: has to be a URL such as http/);
  });

  it('takes a protocol for traces over one for everything', () => {
    const environment = {
      ...on,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
    };
    expect(readConfig(environment).tracing).not.toBeNull();
  });
});
