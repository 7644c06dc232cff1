import { setTimeout as sleep } from 'node:timers/promises';

export interface AnnouncerOptions {
  /** Tells every process that listens at this moment. */
  readonly publish: () => Promise<unknown>;
  /** A change that could not be told, after every attempt. */
  readonly onFault: (what: string, error: unknown) => void;
  readonly pausesMs?: readonly number[];
}

export interface Announcer {
  /** Tells the others, in the background; several at once are one message. */
  announce(): void;
  /** Resolves once all is told or given up. */
  told(): Promise<void>;
}

/** About as long as a cached answer lives: whoever has not heard of the change by then reads it by itself. */
const usualPausesMs = [50, 100, 200, 400, 800, 1_600, 3_200, 3_200];

/** Says that something has changed, as often as it takes within a bounded time. */
export function createAnnouncer({ publish, onFault, pausesMs = usualPausesMs }: AnnouncerOptions): Announcer {
  let untold = false;
  let telling: Promise<void> | null = null;

  async function tell(): Promise<void> {
    for (const pauseMs of [...pausesMs, null]) {
      // What changes while the message is on its way may be younger than what its readers then read.
      untold = false;
      try {
        await publish();
        return;
      } catch (error) {
        if (pauseMs === null) return onFault('telling other processes of a change', error);
      }
      await sleep(pauseMs);
    }
  }

  async function tellAll(): Promise<void> {
    while (untold) await tell();
    telling = null;
  }

  return {
    announce: () => {
      untold = true;
      telling ??= tellAll();
    },
    told: async () => {
      await telling;
    },
  };
}
