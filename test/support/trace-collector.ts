import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AnyJson } from './admin-plane.ts';

/** A span as it came, by OTLP's JSON. */
export interface CollectedSpan {
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client';
  readonly traceId: string;
  readonly spanId: string;
  /** Null at the root of a trace. */
  readonly parentSpanId: string | null;
  readonly traceState: string | null;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly failed: boolean;
  /** Of its status; null where there is none. */
  readonly message: string | null;
  readonly events: readonly unknown[];
  readonly attributes: Readonly<Record<string, AnyJson>>;
  readonly resource: Readonly<Record<string, AnyJson>>;
}

export interface TraceCollector {
  /** As the standard variable takes it. */
  readonly endpoint: string;
  readonly spans: readonly CollectedSpan[];
  /** Everything that came, as it came. */
  readonly bodies: readonly string[];
  readonly headers: readonly IncomingHttpHeaders[];
  /** Waits, bounded, until a trace has all of these. */
  until(condition: (spans: readonly CollectedSpan[]) => boolean): Promise<void>;
  close(): Promise<void>;
}

const kinds: Readonly<Record<number, CollectedSpan['kind']>> = { 1: 'internal', 2: 'server', 3: 'client' };
const statusOfErrors = 2;

function plainValue(value: AnyJson): unknown {
  if ('arrayValue' in value) return (value.arrayValue.values ?? []).map(plainValue);
  if ('intValue' in value) return Number(value.intValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue;
}

function attributesOf(list: readonly AnyJson[] = []): Record<string, unknown> {
  return Object.fromEntries(list.map(({ key, value }) => [key, plainValue(value)]));
}

function spanOf(span: AnyJson, resource: AnyJson): CollectedSpan {
  return {
    name: span.name,
    kind: kinds[span.kind] ?? 'internal',
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId ?? null,
    traceState: span.traceState ?? null,
    startNs: BigInt(span.startTimeUnixNano),
    endNs: BigInt(span.endTimeUnixNano),
    failed: span.status?.code === statusOfErrors,
    message: span.status?.message ?? null,
    events: span.events ?? [],
    attributes: attributesOf(span.attributes),
    resource: attributesOf(resource.attributes),
  };
}

/**
 * A collector that takes spans by OTLP over HTTP, as JSON.
 * @param answers when it begins to answer
 */
export async function startTraceCollector(
  answers: Promise<void> = Promise.resolve(),
): Promise<TraceCollector> {
  const spans: CollectedSpan[] = [];
  const bodies: string[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const server = createServer(async (request, response) => {
    const text = Buffer.concat(await request.toArray()).toString();
    if (request.url !== '/v1/traces') {
      response.writeHead(404).end();
      return;
    }
    bodies.push(text);
    headers.push(request.headers);
    for (const { resource, scopeSpans } of JSON.parse(text).resourceSpans) {
      for (const scope of scopeSpans) {
        for (const span of scope.spans) spans.push(spanOf(span, resource));
      }
    }
    await answers;
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    bodies,
    headers,
    until: async (condition) => {
      for (let wait = 0; !condition(spans); wait++) {
        if (wait > 500)
          throw new Error(`it never came to be: ${JSON.stringify(spans.map(({ name }) => name))}`);
        await sleep(20);
      }
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
