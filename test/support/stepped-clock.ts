import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** In milliseconds; a process that is started with `steppedBy(file)` reads it again and again. */
const variable = 'TEST_CLOCK_OFFSET_FILE';
const readEveryMs = 20;

/** The environment of a process whose wall clock is as far off as the file says. */
export function steppedBy(file: string): Readonly<Record<string, string>> {
  writeFileSync(file, '0');
  return { [variable]: file, NODE_OPTIONS: `--import=${fileURLToPath(import.meta.url)}` };
}

/** The process has seen it when this resolves. */
export async function stepClock(file: string, offsetMs: number): Promise<void> {
  writeFileSync(file, String(offsetMs));
  await sleep(5 * readEveryMs);
}

/** `Date` with an offset, in this process and in each of its threads; monotonic time goes on as it does. */
function install(file: string): void {
  const SystemDate = Date;
  let offsetMs = 0;
  let readAtMs = Number.NEGATIVE_INFINITY;
  const now = () => {
    if (performance.now() - readAtMs > readEveryMs) {
      readAtMs = performance.now();
      offsetMs = Number(readFileSync(file, 'utf8'));
    }
    return SystemDate.now() + offsetMs;
  };
  globalThis.Date = new Proxy(SystemDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    apply: () => new SystemDate(now()).toString(),
    get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
  });
}

const file = process.env[variable];
if (file !== undefined) install(file);
