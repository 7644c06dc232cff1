import type { Target } from '../catalog/catalog.ts';
import type { Dialect, DialectRequest } from '../dialects/dialect.ts';
import type { ByteBudget } from '../domain/byte-budget.ts';
import { Canceller } from '../domain/cancellation.ts';
import type { Refusal } from '../domain/errors.ts';
import { UpstreamBodyError } from '../upstream/upstream.ts';
import { type ForwardOptions, forward } from './forward.ts';
import type { Progress } from './progress.ts';
import { readWhole } from './read-whole.ts';
import type { Client, RequestHeaders } from './request.ts';
import { isForClient, sendWhole } from './respond.ts';
import { noRoom, timedOut, tooLarge, unavailable } from './upstream-refusals.ts';

export interface FreeOptions extends ForwardOptions {
  readonly maxAnswerBytes: number;
  readonly answers: ByteBudget;
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
  const { client } = free;
  const cancel = new Canceller();
  const onGone = () => cancel.abort('the client is gone');
  const held = options.answers.open();
  if (client.gone.aborted) return null;
  client.gone.addEventListener('abort', onGone, { once: true });
  try {
    const forwarding = { ...free, spans: free.progress.spans, clampedOutput: null, signal: cancel };
    const { answer } = await forward(forwarding, options);
    if (answer.kind === 'unreachable') return answer.reason === 'connection' ? unavailable : timedOut;
    const body = await readWhole(answer.body, { maxBytes: options.maxAnswerBytes, held });
    if (typeof body === 'string') return body === 'too_large' ? tooLarge : noRoom;
    if (!isForClient(answer.status, body)) return unavailable;
    sendWhole(free, answer, body, {});
    return null;
  } catch (error) {
    if (error instanceof UpstreamBodyError) return error.reason === 'cut' ? unavailable : timedOut;
    throw error;
  } finally {
    client.gone.removeEventListener('abort', onGone);
    cancel.abort('it is over');
    held.letGo();
  }
}
