import type { Timers } from '../domain/clock.ts';

export interface PaceOptions {
  /** Bytes that have moved so far; never less than before. */
  readonly movedBytes: () => number;
  /** So long may nothing move at all. */
  readonly stallMs: number;
  readonly timers: Timers;
  /** Called once, when it moves too slowly; nothing is watched any more then. */
  readonly onStall: () => void;
}

/** What moves more slowly than this, beyond the time that it may stand still, would be held for hours. */
const leastBytesPerSecond = 8 * 1024;

/** Looks that go by without a byte before it counts as a stall. */
const looksPerStall = 4;

/**
 * Watches over bytes that a client sends or takes.
 *
 * Time is counted in looks and not read from a clock: a process that was held up itself has had no chance to
 * see what moved meanwhile, and between two looks it always has one.
 * @returns ends the watch
 */
export function watchPace({ movedBytes, stallMs, timers, onStall }: PaceOptions): () => void {
  const lookMs = stallMs / looksPerStall;
  const atFirst = movedBytes();
  let before = atFirst;
  let looks = 0;
  let quietLooks = 0;
  const look = () => {
    looks++;
    const moved = movedBytes();
    quietLooks = moved === before ? quietLooks + 1 : 0;
    before = moved;
    const permittedMs = stallMs + ((moved - atFirst) * 1000) / leastBytesPerSecond;
    if (quietLooks >= looksPerStall || looks * lookMs > permittedMs) onStall();
    else forget = timers.after(lookMs, look);
  };
  let forget = timers.after(lookMs, look);
  return () => forget();
}
