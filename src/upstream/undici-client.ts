import { Agent, type Dispatcher, errors, interceptors } from 'undici';
import {
  type Unreachable,
  UpstreamBodyError,
  type UpstreamCall,
  type UpstreamClient,
  type UpstreamResponse,
} from './upstream.ts';

export interface UndiciClientOptions {
  readonly connectTimeoutMs?: number;
}

type FailureReason = 'cut' | 'timeout' | 'aborted';

const timeouts = [errors.HeadersTimeoutError, errors.BodyTimeoutError, errors.ConnectTimeoutError];

function reasonOf(error: unknown, signal: AbortSignal): FailureReason {
  if (signal.aborted) return 'aborted';
  return timeouts.some((kind) => error instanceof kind) ? 'timeout' : 'cut';
}

async function* readBody(body: Dispatcher.ResponseData['body'], signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body) yield chunk as Buffer;
  } catch (error) {
    throw new UpstreamBodyError(reasonOf(error, signal), { cause: error });
  }
}

function presentHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string | string[]] => entry[1] !== undefined),
  );
}

/** Providers over undici: as many connections as there are open requests, kept alive between them. */
export function createUndiciClient({ connectTimeoutMs = 10_000 }: UndiciClientOptions = {}): UpstreamClient {
  const agent = new Agent({ connect: { timeout: connectTimeoutMs }, pipelining: 1 });
  // A provider that compresses although it was asked not to is still metered.
  const dispatcher = agent.compose(interceptors.decompress({ skipErrorResponses: false }));

  return {
    send: async (call: UpstreamCall): Promise<UpstreamResponse | Unreachable> => {
      try {
        const { statusCode, headers, body } = await dispatcher.request(requestOptions(call));
        return {
          kind: 'response',
          status: statusCode,
          headers: presentHeaders(headers),
          body: readBody(body, call.signal),
        };
      } catch (cause) {
        const reason = reasonOf(cause, call.signal);
        return { kind: 'unreachable', reason: reason === 'cut' ? 'connection' : reason, cause };
      }
    },
    close: () => agent.destroy(),
  };
}

function requestOptions(call: UpstreamCall): Dispatcher.RequestOptions {
  const url = new URL(call.url);
  return {
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method: 'POST',
    headers: call.headers,
    body: call.body,
    headersTimeout: call.headersTimeoutMs,
    bodyTimeout: call.idleTimeoutMs,
    signal: call.signal,
  };
}
