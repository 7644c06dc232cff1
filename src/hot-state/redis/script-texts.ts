import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

export interface ScriptText {
  readonly text: string;
  /** Its name in Redis, the hash of its text: two versions of the gateway run beside each other. */
  readonly sha: string;
}

const folder = new URL('./lua/', import.meta.url);
/** Within a function, what is included is made only where the function runs. */
const include = /^( *)-- include (\S+)$/gm;
const topLevelFunction = /^local function (\w+)\((?:.* end|[\s\S]*?\nend)$/gm;

function readLua(path: string): string {
  const text = readFileSync(new URL(`${path}.lua`, folder), 'utf8');
  return text.replace(include, (_, indent: string, fragment: string) =>
    readLua(`fragments/${fragment}`).replace(/^(?=.)/gm, indent),
  );
}

/** Redis makes every function anew at each call of a script: one that it doesn't use would cost as much as one that it does. */
function withoutUnused(text: string): string {
  const used = text.replace(topLevelFunction, (definition, name: string) => {
    const mentions = text.match(new RegExp(`\\b${name}\\b`, 'g')) ?? [];
    const ownMentions = definition.match(new RegExp(`\\b${name}\\b`, 'g')) ?? [];
    return mentions.length > ownMentions.length ? definition : '';
  });
  return used === text ? text : withoutUnused(used);
}

/** A script as it is sent to Redis, with its fragments in place. */
export function readScriptText(name: string): ScriptText {
  const text = withoutUnused(readLua(name));
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

/** Every script. */
export function readScriptTexts(): readonly ScriptText[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.lua'));
  return files.map((file) => readScriptText(file.replace(/\.lua$/, '')));
}
