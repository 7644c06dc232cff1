import type { Target } from '../catalog/catalog.ts';
import type { Dialect, DialectRequest } from '../dialects/dialect.ts';
import type { Refusal } from '../domain/errors.ts';
import { UpstreamBodyError } from '../upstream/upstream.ts';
import { type ForwardOptions, forward } from './forward.ts';
import { headersForClient } from './headers.ts';
import type { Progress } from './progress.ts';
import { isJson, readWhole } from './relay.ts';
import type { Client, RequestHeaders } from './request.ts';
import { timedOut, tooLarge, unavailable } from './upstream-refusals.ts';

export interface FreeOptions extends ForwardOptions {
  readonly maxAnswerBytes: number;
}

export interface FreeRequest {
  readonly dialect: Dialect;
  readonly headers: RequestHeaders;
  readonly request: DialectRequest;
  readonly targets: readonly [Target, ...Target[]];
  readonly client: Client;
  readonly progress: Progress;
}

/** What costs nothing needs no money: no hold, no ledger row, and upstream's answer as it came. */
export async function passFree(free: FreeRequest, options: FreeOptions): Promise<Refusal | null> {
  const { client, progress } = free;
  const cancel = new AbortController();
  const onGone = () => cancel.abort();
  if (client.gone.aborted) return null;
  client.gone.addEventListener('abort', onGone, { once: true });
  try {
    const { answer } = await forward({ ...free, clampedOutput: null, signal: cancel.signal }, options);
    if (answer.kind === 'unreachable') return answer.reason === 'connection' ? unavailable : timedOut;
    const body = await readWhole(answer.body, options.maxAnswerBytes);
    if (body === null) return tooLarge;
    // As of what is charged: neither redirects nor pages of something in between are for the client.
    if (!isPassedOn(answer.status, body)) return unavailable;
    if (client.gone.aborted) return null;
    progress.firstByte();
    client.start({
      kind: 'upstream',
      status: answer.status,
      headers: {
        ...headersForClient(answer.headers),
        ...progress.identifyingHeaders(),
        'content-length': String(body.length),
      },
    });
    client.end(body);
    return null;
  } catch (error) {
    if (error instanceof UpstreamBodyError) return error.reason === 'cut' ? unavailable : timedOut;
    throw error;
  } finally {
    client.gone.removeEventListener('abort', onGone);
    cancel.abort();
  }
}

function isPassedOn(status: number, body: Buffer): boolean {
  return status >= 200 && (status < 300 || status >= 400) && isJson(body);
}
