import type { Target } from '../catalog/catalog.ts';
import type { Dialect, DialectRequest } from '../dialects/dialect.ts';
import type { Cancellation } from '../domain/cancellation.ts';
import type { Clock } from '../domain/clock.ts';
import type { Observer } from '../observability/observer.ts';
import type { RequestSpans } from '../observability/tracer.ts';
import type { Unreachable, UpstreamCall, UpstreamClient, UpstreamResponse } from '../upstream/upstream.ts';
import { headersForUpstream } from './headers.ts';
import type { RequestHeaders } from './request.ts';

export interface Forwarded {
  readonly target: Target;
  readonly answer: UpstreamResponse | Unreachable;
}

export interface ForwardOptions {
  readonly upstreams: UpstreamClient;
  /** What a stored credential stands for; null where it stands for nothing. */
  readonly readCredential: (stored: string) => string | null;
  readonly observer: Pick<Observer, 'upstreamAnswered'>;
  readonly clock: Clock;
}

export interface Forwarding {
  readonly dialect: Dialect;
  readonly request: DialectRequest;
  readonly headers: RequestHeaders;
  readonly targets: readonly [Target, ...Target[]];
  /** Written into the body where admission had to clamp it. */
  readonly clampedOutput: number | null;
  readonly signal: Cancellation;
  readonly spans: RequestSpans | null;
}

/** Statuses that another upstream may answer differently: it is away, busy, or refuses our account. */
function mayDifferElsewhere(status: number): boolean {
  return status >= 500 || status === 429 || status === 408 || status === 401 || status === 403;
}

/** Tries the targets in order until one takes the request; the answer of the last is the answer. */
export async function forward(forwarding: Forwarding, options: ForwardOptions): Promise<Forwarded> {
  const [first, ...others] = forwarding.targets;
  let target = first;
  for (const next of [...others, null]) {
    const answer = await ask(forwarding, target, options);
    if (next === null || forwarding.signal.aborted || !isWorthAnotherTry(answer)) return { target, answer };
    if (answer.kind === 'response') await discard(answer);
    target = next;
  }
  throw new Error('the last target always answers');
}

async function ask(
  forwarding: Forwarding,
  target: Target,
  { upstreams, readCredential, observer, clock }: ForwardOptions,
): Promise<UpstreamResponse | Unreachable> {
  const startedAtMs = clock.monotonic();
  const answer = await upstreams.send(callFor(forwarding, target, readCredential));
  forwarding.spans?.upstreamAnswered(answer);
  observer.upstreamAnswered({
    provider: target.upstream.provider,
    result: answer.kind === 'response' ? answer.status : answer.reason,
    latencyMs: clock.monotonic() - startedAtMs,
  });
  return answer;
}

function isWorthAnotherTry(answer: UpstreamResponse | Unreachable): boolean {
  return answer.kind === 'unreachable' ? answer.reason !== 'aborted' : mayDifferElsewhere(answer.status);
}

function callFor(
  { dialect, request, headers, clampedOutput, signal, spans }: Forwarding,
  { upstream, route }: Target,
  readCredential: ForwardOptions['readCredential'],
): UpstreamCall {
  const { baseUrl, credential, quirks, headersTimeoutMs, idleTimeoutMs } = upstream;
  const secret = credential === null ? null : readCredential(credential);
  const authorization = secret === null ? {} : dialect.authorization(secret);
  const { path, body } = request.callFor({
    model: route.upstreamModel,
    quirks,
    maxOutputTokens: clampedOutput,
  });
  const passed =
    spans?.upstreamAsked({ dialect, request, route, upstream, clampedOutput }, headers) ?? headers;
  return {
    url: `${baseUrl}${path}`,
    headers: headersForUpstream(passed, authorization),
    body,
    headersTimeoutMs,
    idleTimeoutMs,
    signal,
  };
}

/** Lets go of an answer that nobody reads, and with it of its connection. */
async function discard(response: UpstreamResponse): Promise<void> {
  const body = response.body[Symbol.asyncIterator]();
  await body.return?.().catch(() => undefined);
}
