import { readlinkSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

/** So much later than the others: such a thread still has a quarter of a core that another wants for itself alone. */
const behind = 5;

/**
 * Lets the event loop go before the thread that calls this, where both want one core: what waits for the loop is a byte
 * that is relayed. Only Linux gives each thread a priority of its own; elsewhere nothing happens, nor where it may not.
 */
export function goBehindTheEventLoop(): void {
  if (process.platform !== 'linux') return;
  try {
    // PID/task/TID.
    const threadId = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    setPriority(threadId, Math.min(getPriority(threadId) + behind, constants.priority.PRIORITY_LOW));
  } catch {
    // Without /proc, or forbidden: all threads take turns, as they do anyway.
  }
}
