import { imageSize } from 'image-size';

/**
 * What the first bytes of media say of their size. Only those are decoded, whatever the media's length, and
 * nothing of it is believed further than a hold goes: the provider counts what it really sees.
 */

export interface PixelSize {
  readonly width: number;
  readonly height: number;
}

/** PNG, GIF and WebP say it here. */
const shortPrefixBytes = 512;
/** A JPEG says it behind its colour profile and its thumbnail. */
const longPrefixBytes = 2 ** 17;

const bytesPerGroup = 3;
const charactersPerGroup = 4;

/** How many bytes base64 stands for; white space in it counts as some. */
export function byteLength(base64: string): number {
  return Math.floor((base64.length / charactersPerGroup) * bytesPerGroup);
}

/** Some of the bytes, without decoding what is before them. Fewer where there are no more. */
function bytesAt(base64: string, start: number, length: number): Buffer {
  const group = Math.floor(start / bytesPerGroup);
  const lastGroup = Math.ceil((start + length) / bytesPerGroup);
  const decoded = Buffer.from(
    base64.slice(group * charactersPerGroup, lastGroup * charactersPerGroup),
    'base64',
  );
  const skipped = start - group * bytesPerGroup;
  return decoded.subarray(skipped, skipped + length);
}

/** Images that providers take. Others, such as SVG, would be searched for their size by patterns. */
const imageSignatures: readonly RegExp[] = [
  /^\x89PNG/,
  /^\xff\xd8\xff/,
  /^GIF8/,
  /^RIFF....WEBP/s,
  /^BM/,
  /^....ftyp/s,
];

/** Width and height in pixels; null where the bytes don't tell. */
export function pixelSize(base64: string): PixelSize | null {
  const start = bytesAt(base64, 0, shortPrefixBytes);
  const signature = start.toString('latin1', 0, 12);
  if (!imageSignatures.some((pattern) => pattern.test(signature))) return null;
  return (
    sizeOf(start) ?? (base64.length > shortPrefixBytes ? sizeOf(bytesAt(base64, 0, longPrefixBytes)) : null)
  );
}

function sizeOf(bytes: Buffer): PixelSize | null {
  try {
    const { width, height } = imageSize(bytes);
    return isPixels(width) && isPixels(height) ? { width, height } : null;
  } catch {
    return null;
  }
}

function isPixels(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1;
}

/** The header of a WAV file is short, unless it holds notes of who made it. */
const wavHeaderBytes = 4_096;
const riffChunksStart = 12;
const chunkHeaderBytes = 8;
const byteRateOffset = 16;

/** How many bytes a second a WAV file has; null where it doesn't tell. */
export function wavByteRate(base64: string): number | null {
  const bytes = bytesAt(base64, 0, wavHeaderBytes);
  if (!/^RIFF....WAVE/s.test(bytes.toString('latin1', 0, riffChunksStart))) return null;
  let at = riffChunksStart;
  while (at + byteRateOffset + 4 <= bytes.length) {
    if (bytes.toString('latin1', at, at + 4) === 'fmt ')
      return bytes.readUInt32LE(at + byteRateOffset) || null;
    // Chunks begin at even places.
    const length = bytes.readUInt32LE(at + 4);
    at += chunkHeaderBytes + length + (length % 2);
  }
  return null;
}

/** A film has its header before or behind its pictures: few boxes in all at the outermost level. */
const mostBoxes = 32;
const boxHeaderBytes = 16;
const movieHeaderBytes = 256;

/** How long an MP4 or QuickTime film is, in seconds; null where it doesn't tell. */
export function mp4Seconds(base64: string): number | null {
  const end = byteLength(base64);
  let at = 0;
  for (let box = 0; box < mostBoxes && at + boxHeaderBytes <= end; box++) {
    const header = bytesAt(base64, at, boxHeaderBytes);
    if (header.length < boxHeaderBytes) return null;
    const type = header.toString('latin1', 4, 8);
    if (box === 0 && type !== 'ftyp') return null;
    if (type === 'moov') return movieSeconds(bytesAt(base64, at + 8, movieHeaderBytes));
    const shortLength = header.readUInt32BE(0);
    const length = shortLength === 1 ? Number(header.readBigUInt64BE(8)) : shortLength;
    if (length < 8) return null;
    at += length;
  }
  return null;
}

/** The movie header is the first box of the movie; its two versions differ in the width of its times. */
function movieSeconds(movie: Buffer): number | null {
  if (movie.length < 40 || movie.toString('latin1', 4, 8) !== 'mvhd') return null;
  const isWide = movie.readUInt8(8) === 1;
  const scale = movie.readUInt32BE(isWide ? 28 : 20);
  const duration = isWide ? Number(movie.readBigUInt64BE(32)) : movie.readUInt32BE(24);
  return scale === 0 ? null : duration / scale;
}

const pdfHeadBytes = 2_048;
const pdfTailBytes = 2 ** 16;

/**
 * How many pages a PDF says that it has: at its start where it is made for the web, or in a page tree near its
 * end that isn't compressed. Null where it says it nowhere there.
 */
export function pdfPages(base64: string): number | null {
  const head = bytesAt(base64, 0, pdfHeadBytes).toString('latin1');
  if (!head.startsWith('%PDF')) return null;
  const linearized = /\/Linearized[^>]{0,200}\/N\s{0,9}(\d{1,6})/.exec(head);
  if (linearized !== null) return Number(linearized[1]);
  const end = byteLength(base64);
  const tail = bytesAt(base64, Math.max(0, end - pdfTailBytes), pdfTailBytes).toString('latin1');
  const counts = [...tail.matchAll(/\/Count\s{0,9}(\d{1,6})/g)].map(([, count]) => Number(count));
  return counts.length === 0 ? null : Math.max(...counts);
}
