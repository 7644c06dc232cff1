import type { Logger } from 'pino';
import { systemClock, within } from '../domain/clock.ts';
import type { Pipeline } from '../gateway/pipeline.ts';
import type { GatewayServer } from '../http/server.ts';

/** After the drain, how long a ledger that is away is waited for. */
export const lastSettlementMs = 10_000;

interface DrainOptions {
  readonly state: { accepting: boolean };
  readonly log: Logger;
  readonly drainMs: number;
}

/** Takes no more, finishes what runs within its time, and waits for every settlement. */
export async function drain(server: GatewayServer, pipeline: Pipeline, options: DrainOptions): Promise<void> {
  const { state, log, drainMs } = options;
  state.accepting = false;
  const inTime = await server.drain(pipeline, drainMs);
  if (!inTime)
    log.warn({ in_flight: pipeline.inFlight }, 'the drain is over: what still ran was cut and is charged');
  const settled = await within(
    systemClock,
    pipeline.idle().then(() => true),
    lastSettlementMs,
  );
  if (settled === null) {
    log.error(
      { in_flight: pipeline.inFlight },
      'ending with requests that are not settled: they stay PENDING',
    );
  }
}
