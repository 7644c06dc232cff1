import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

export interface ScriptText {
  readonly text: string;
  /** Its name in Redis, the hash of its text: two versions of the gateway run beside each other. */
  readonly sha: string;
}

const folder = new URL('./lua/', import.meta.url);
const include = /^-- include (\S+)$/gm;

function readLua(path: string): string {
  const text = readFileSync(new URL(`${path}.lua`, folder), 'utf8');
  return text.replace(include, (_, fragment: string) => readLua(`fragments/${fragment}`));
}

/** A script as it is sent to Redis, with its fragments in place. */
export function readScriptText(name: string): ScriptText {
  const text = readLua(name);
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

/** Every script. */
export function readScriptTexts(): readonly ScriptText[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.lua'));
  return files.map((file) => readScriptText(file.replace(/\.lua$/, '')));
}
