import { parentPort, workerData } from 'node:worker_threads';
import { PGlite, types } from '@electric-sql/pglite';
import { goBehindTheEventLoop } from '../../threads/thread-priority.ts';
import type { WorkerAnswer, WorkerRequest } from './embedded-engine.ts';
import { PreparedStatements } from './pglite-prepared.ts';

// PGlite runs where it is awaited: in a thread of its own, so that no statement delays a relayed byte.

if (parentPort === null) throw new Error('the embedded ledger runs as a worker thread only');
const port = parentPort;
const { dataDir } = workerData as { dataDir: string };

goBehindTheEventLoop();

const asText = (value: string) => value;
const pglite = await PGlite.create({
  dataDir,
  parsers: { [types.INT8]: asText, [types.NUMERIC]: asText, [types.DATE]: asText },
});

const prepared = new PreparedStatements(pglite);

interface EngineError {
  readonly message?: string;
  readonly code?: string;
  readonly severity?: string;
}

/** A trap in its WebAssembly. */
function isTrap(error: unknown): boolean {
  return error instanceof Error && error.name === 'RuntimeError';
}

/**
 * After a panic the engine's memory is no more what it has to be, and it has no process of its own that would
 * end: asked again, it computes for ever.
 */
function isEnd(error: unknown): boolean {
  const { severity } = error as EngineError;
  return severity === 'PANIC' || severity === 'FATAL' || isTrap(error);
}

let ended = false;

async function answer(request: WorkerRequest): Promise<WorkerAnswer> {
  try {
    const { id, statement, parameters, byKeys } = request;
    if (byKeys) return { id, rows: await prepared.queryByKeys(statement, parameters) };
    await prepared.planAnew();
    const { rows, affectedRows } = await pglite.query(statement, [...parameters]);
    return { id, rows, affectedRows };
  } catch (error) {
    const { message = String(error), code } = error as EngineError;
    ended = isEnd(error);
    // An error of PGlite itself, and no trap, is a bad parameter.
    const sqlState = code ?? (ended ? 'XX000' : '22000');
    return { id: request.id, error: message, sqlState, isEnd: ended };
  }
}

async function handle(request: WorkerRequest | 'close'): Promise<void> {
  if (ended) return;
  if (request !== 'close') {
    port.postMessage(await answer(request));
    return;
  }
  await pglite.close();
  port.postMessage('closed');
  port.close();
}

// One after the other: what waits in the engine itself would begin before its end is known.
let turn = Promise.resolve();
port.on('message', (request: WorkerRequest | 'close') => {
  turn = turn.then(() => handle(request));
});
port.postMessage('ready');
