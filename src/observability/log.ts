import { type DestinationStream, type Logger, pino } from 'pino';

/** Of lines that whoever reads the log doesn't take; what comes then is lost, and serving goes on. */
const mostUnwrittenBytes = 16 * 1024 * 1024;

/** A line for each request would be a write for each: they wait for one another, and no longer than this. */
const waitMs = 100;
const batchLength = 16 * 1024;

/** From here on a line tells of trouble, and the process may not live for so long. */
const urgentLevel = pino.levels.values.warn ?? 0;

/** Lines that are written together. None is lost where the process ends by itself, or by an exception. */
class Batch implements DestinationStream {
  /** Has pino tell the level of each line. */
  readonly [pino.symbols.needsMetadataGsym] = true;
  lastLevel = 0;
  #write: (lines: string) => void;
  readonly #sync: () => void;
  #lines: string[] = [];
  #length = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** @param sync has the system take what was written */
  constructor(write: (lines: string) => void, sync: () => void) {
    this.#write = write;
    this.#sync = sync;
  }

  write(line: string): void {
    this.#lines.push(line);
    this.#length += line.length;
    const isUrgent = this.#isClosed || this.lastLevel >= urgentLevel;
    if (isUrgent || this.#length >= batchLength) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), waitMs);
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#lines.length === 0) return;
    const lines = this.#lines.join('');
    this.#lines = [];
    this.#length = 0;
    this.#write(lines);
  }

  /** Pino asks for it behind a fatal line. */
  flushSync(): void {
    this.flush();
    this.#sync();
  }

  /** From now on every line is written at once, and like this. */
  close(write: (line: string) => void): void {
    this.#sync();
    this.#isClosed = true;
    this.#write = write;
    this.flush();
  }
}

/** The log of this process, on its standard output: one JSON object a line. */
export function openLog(level: string, undo: DisposableStack | AsyncDisposableStack): Logger {
  const output = pino.destination({ sync: false, maxLength: mostUnwrittenBytes });
  const batch = new Batch(
    (lines) => output.write(lines),
    () => output.flushSync(),
  );
  const flush = () => batch.flush();
  // Before the output's own listener, which writes what it has been given.
  process.prependListener('exit', flush);
  undo.defer(() => {
    // What the system is still to write would come behind what a process writes when it exits.
    const last = pino.destination({ sync: true });
    batch.close((line) => last.write(line));
    process.off('exit', flush);
  });
  return pino({ level }, batch);
}
