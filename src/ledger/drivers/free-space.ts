import { statfs } from 'node:fs/promises';

/** What the engine needs at the most to begin another file of its log, and some. */
const plentyBytes = 64 * 1024 * 1024;

/** What to say of a failure on files where little space is left; nothing where there is plenty, or nobody knows. */
export async function scarceSpace(path: string): Promise<string> {
  try {
    const { bavail, bsize } = await statfs(path);
    const freeBytes = bavail * bsize;
    if (freeBytes >= plentyBytes) return '';
    return `. Only ${Math.floor(freeBytes / 1024 / 1024)} MB are free on its disk: make room for it`;
  } catch {
    return '';
  }
}
