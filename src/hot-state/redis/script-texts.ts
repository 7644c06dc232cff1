import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

export interface ScriptText {
  readonly text: string;
  /** Its name in Redis, the hash of its text. */
  readonly sha: string;
}

const folder = new URL('./lua/', import.meta.url);
const include = /^-- include (\S+)$/gm;

/** Every script as it is sent to Redis. */
export function readScriptTexts(): readonly ScriptText[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.lua'));
  return files.map((file) => {
    const read = (path: string) => readFileSync(new URL(path, folder), 'utf8');
    const text = read(file).replace(include, (_, fragment: string) => read(`fragments/${fragment}.lua`));
    return { text, sha: createHash('sha1').update(text).digest('hex') };
  });
}
