import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import type { KnownInstance } from '../ledger/instances.ts';

/**
 * Where this process' pid counts: the life of this kernel, and the namespace of pids. Two containers may have one host
 * name and one pid, but not one place. Where the system doesn't tell, a place that nobody else is at.
 */
export function placeOfThisProcess(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return `unknown ${randomUUID()}`;
  }
}

/** Whether it was a process of this place that is gone: one with our own pid was there before us. */
export function isGoneFrom(place: string, instance: KnownInstance): boolean {
  return instance.place === place && (instance.pid === process.pid || !exists(instance.pid));
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's process is there all the same.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
