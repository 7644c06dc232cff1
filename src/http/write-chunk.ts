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

function chunkOf(bytes: Buffer): Buffer {
  const size = `${bytes.length.toString(16)}\r\n`;
  const chunk = Buffer.allocUnsafe(size.length + bytes.length + crlfBytes);
  chunk.write(size, 'latin1');
  bytes.copy(chunk, size.length);
  chunk.write('\r\n', size.length + bytes.length, 'latin1');
  return chunk;
}
