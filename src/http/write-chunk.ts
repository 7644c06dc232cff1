import type { ServerResponse } from 'node:http';

/** Of a larger one a copy would cost more than what it saves. */
const mostCopiedBytes = 8 * 1024;

const crlfBytes = 2;

/**
 * Writes a piece of a body whose head is on its way already, as one piece. Node gathers a chunk from four, its size and
 * the ends of lines among them, and each of them goes through the stream of the connection by itself: for an event of a
 * few words that is more work than all the rest of sending it.
 * @returns false when the connection has enough for now
 */
export function writeChunk(response: ServerResponse, bytes: Buffer): boolean {
  const { socket } = response;
  const isOwn = response.chunkedEncoding && bytes.length > 0 && bytes.length <= mostCopiedBytes;
  if (!isOwn || socket === null || !socket.writable || response.writableEnded) return response.write(bytes);
  return socket.write(chunkOf(bytes));
}

const cr = 0x0d;
const lf = 0x0a;

/** Written byte by byte: for so few of them each call of a function that Node has in C++ costs more. */
function chunkOf(bytes: Buffer): Buffer {
  const size = bytes.length.toString(16);
  const start = size.length + crlfBytes;
  const end = start + bytes.length;
  const chunk = Buffer.allocUnsafe(end + crlfBytes);
  for (let at = 0; at < size.length; at++) chunk[at] = size.charCodeAt(at);
  chunk[start - 2] = cr;
  chunk[start - 1] = lf;
  chunk.set(bytes, start);
  chunk[end] = cr;
  chunk[end + 1] = lf;
  return chunk;
}
