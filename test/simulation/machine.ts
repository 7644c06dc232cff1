import type { KnownInstance } from '../../src/ledger/instances.ts';
import type { Process } from './process.ts';

/** Where a process runs: whoever is at the same place sees which of its processes are gone. */
export interface Machine {
  readonly place: string;
  readonly pid: number;
  isGone(instance: KnownInstance): boolean;
}

/** All places of a run, and which process has which number there. */
export class Machines {
  readonly #processes = new Map<number, Process>();
  /** Of each instance that a process said it is. */
  readonly ownerOf = new Map<string, Process>();

  /** @param place another one than those before, unless it is given */
  put(process: Process, place: string | null): Machine {
    const pid = this.#processes.size + 1;
    this.#processes.set(pid, process);
    const own = place ?? `place ${pid}`;
    return {
      place: own,
      pid,
      isGone: (instance) => instance.place === own && this.#processes.get(instance.pid)?.isAlive === false,
    };
  }
}
