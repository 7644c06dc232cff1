import { parentPort, workerData } from 'node:worker_threads';
import { PGlite, types } from '@electric-sql/pglite';
import type { WorkerAnswer, WorkerRequest } from './pglite.ts';

// PGlite runs where it is awaited: in a thread of its own, so that no statement delays a relayed byte.

if (parentPort === null) throw new Error('the embedded ledger runs as a worker thread only');
const port = parentPort;
const { dataDir } = workerData as { dataDir: string };

const asText = (value: string) => value;
const pglite = await PGlite.create({
  dataDir,
  parsers: { [types.INT8]: asText, [types.NUMERIC]: asText, [types.DATE]: asText },
});

/** An error of PGlite itself: a trap in its WebAssembly is the engine's end, a bad parameter is the caller's. */
function stateWithoutCode(error: unknown): string {
  return error instanceof Error && error.name === 'RuntimeError' ? 'XX000' : '22000';
}

async function answer(request: WorkerRequest): Promise<WorkerAnswer> {
  try {
    const { rows, affectedRows } = await pglite.query(request.statement, [...request.parameters]);
    return { id: request.id, rows, affectedRows };
  } catch (error) {
    const { message, code } = error as { message?: string; code?: string };
    return { id: request.id, error: message ?? String(error), sqlState: code ?? stateWithoutCode(error) };
  }
}

port.on('message', async (request: WorkerRequest | 'close') => {
  if (request !== 'close') {
    port.postMessage(await answer(request));
    return;
  }
  await pglite.close();
  port.postMessage('closed');
  port.close();
});
port.postMessage('ready');
