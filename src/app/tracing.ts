import type { Config } from '../config.ts';
import { systemClock } from '../domain/clock.ts';
import type { Observer } from '../observability/observer.ts';
import { guarded, type Tracer } from '../observability/tracer.ts';

/** Null where tracing is off: no SDK is loaded then. */
export async function openTracer(
  { tracing }: Config,
  observer: Observer,
  undo: AsyncDisposableStack,
): Promise<Tracer | null> {
  if (tracing === null) return null;
  const { openTracing } = await import('../observability/tracing/otel-sdk.ts');
  const onFault = (what: string, error: unknown) => observer.fault(what, error, null);
  const { tracer, close } = openTracing({ ...tracing, clock: systemClock, onFault });
  undo.defer(close);
  return guarded(tracer);
}
