/** What the parts of this question say to each other: commands to the upstream and to the clients, and their answers. */

export interface Target {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type UpstreamCommand =
  | { readonly kind: 'rate'; readonly eventsPerSecond: number }
  /** What it sends from here on is counted. */
  | { readonly kind: 'count' }
  | { readonly kind: 'counted' }
  /** Every open stream ends as one that is complete. */
  | { readonly kind: 'end' };

export interface UpstreamCounts {
  readonly streams: number;
  /** Events that were to be sent, and that were. */
  readonly due: number;
  readonly sent: number;
  /** By how much they were late, as the clock of the upstream tells. */
  readonly latenessP99Ms: number;
}

export type UpstreamAnswer =
  | { readonly kind: 'listening'; readonly port: number }
  | ({ readonly kind: 'counts' } & UpstreamCounts);

export type ClientsCommand =
  | {
      readonly kind: 'open';
      readonly target: Target;
      readonly streams: number;
      readonly perSecond: number;
    }
  | { readonly kind: 'count' }
  | { readonly kind: 'counted' }
  /** Answered once no stream is open any more. */
  | { readonly kind: 'closed' };

export interface ClientsCounts {
  readonly events: number;
  /** From the upstream's stamp to its arrival. */
  readonly delayP50Ms: number;
  readonly delayP99Ms: number;
}

export interface ClosedCounts {
  /** Of all streams: those that came to their end, and those that didn't. */
  readonly complete: number;
  readonly broken: number;
  /** What was answered to those that didn't. */
  readonly brokenAnswers: readonly string[];
  /** From the request to the first byte of its answer. */
  readonly firstByteP50Ms: number;
  readonly firstByteP99Ms: number;
}

export type ClientsAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'opened' }
  | ({ readonly kind: 'counts' } & ClientsCounts)
  | ({ readonly kind: 'closed' } & ClosedCounts);

/** In microseconds of a clock that all processes of the machine share. */
export const nowMicros = (): number => Number(process.hrtime.bigint() / 1_000n);

/** What stands before the stamp of an event. */
export const stampMark = '"obfuscation":"';
export const stampDigits = 16;
