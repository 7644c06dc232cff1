import { Command, Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { entriesUpTo } from '../../domain/entries-up-to.ts';
import type { RedisClient } from './client.ts';
import { type KeyOwner, type SessionOwner, sessionKey, tenantKeys } from './keys.ts';
import type { ScriptText } from './script-texts.ts';

export type ScriptArgs = readonly (string | number)[];
export type ScriptOwner = KeyOwner | SessionOwner;

/** Runs a script that the server knows. @throws whatever the server answers or the client says */
export type SendScript = (script: ScriptText, owner: ScriptOwner, args: ScriptArgs) => Promise<unknown>;

export function keysOf(owner: ScriptOwner): readonly string[] {
  return 'sessionId' in owner ? [sessionKey(owner)] : tenantKeys(owner);
}

/**
 * Of a Cluster, the client's own way, which knows its nodes. To a single server a command is written here: with dozens to
 * hundreds of arguments, the client's way (each copied four times, looked at and measured by itself, and
 * one batch at a time) takes several times as much.
 */
export function scriptSender(client: RedisClient): SendScript {
  if (!(client instanceof Redis)) {
    return ({ sha }, owner, args) => {
      const keys = keysOf(owner);
      return client.evalsha(sha, keys.length, ...keys, ...args);
    };
  }
  const pieces = new Pieces(client);
  const keys = new LRUCache<string, WrittenKeys>(entriesUpTo(mostWrittenKeys));
  return ({ sha }, owner, args) => {
    const written = 'sessionId' in owner ? writtenKeys(owner) : writtenKeysIn(keys, owner);
    const count = fixedParts + written.count + args.length;
    const text = `*${count}\r\n$7\r\nevalsha\r\n$${sha.length}\r\n${sha}\r\n${written.text}${writtenParts(args)}`;
    pieces.hold();
    return client.sendCommand(new WrittenCommand(text)) as Promise<unknown>;
  };
}

/** The command's name, the script's, and the number of keys. */
const fixedParts = 3;

/** So many tenants with their API keys; others' keys are written anew. */
const mostWrittenKeys = 10_000;

interface WrittenKeys {
  readonly count: number;
  /** With their number. */
  readonly text: string;
}

function writtenKeysIn(known: LRUCache<string, WrittenKeys>, owner: KeyOwner): WrittenKeys {
  const name = `${owner.tenantId}\n${owner.apiKeyId ?? ''}`;
  const found = known.get(name);
  if (found !== undefined) return found;
  const written = writtenKeys(owner);
  known.set(name, written);
  return written;
}

function writtenKeys(owner: ScriptOwner): WrittenKeys {
  const keys = keysOf(owner);
  return { count: keys.length, text: writtenParts([keys.length, ...keys]) };
}

/** Each with its length in bytes, as Redis reads them. */
function writtenParts(parts: ScriptArgs): string {
  const text = withLengths(parts, (part) => part.length);
  // Almost always all of it is ASCII, and one look at the whole is cheaper than one at each.
  return Buffer.byteLength(text) === text.length ? text : withLengths(parts, Buffer.byteLength);
}

function withLengths(parts: ScriptArgs, lengthOf: (part: string) => number): string {
  let text = '';
  for (const part of parts) {
    const said = typeof part === 'string' ? part : String(part);
    text += `$${lengthOf(said)}\r\n${said}\r\n`;
  }
  return text;
}

class WrittenCommand extends Command {
  readonly #text: string;

  constructor(text: string) {
    super('evalsha', [], { replyEncoding: 'utf8' });
    this.#text = text;
  }

  override toWritable(): string {
    return this.#text;
  }
}

/** All that is sent at once goes out in one piece. */
class Pieces {
  readonly #client: Redis;
  #isHeld = false;

  constructor(client: Redis) {
    this.#client = client;
  }

  hold(): void {
    // Before the first connection, and where nothing can be sent, which the client says itself, there is none.
    const stream = this.#client.stream as Redis['stream'] | undefined;
    if (this.#isHeld || stream === undefined) return;
    this.#isHeld = true;
    stream.cork();
    process.nextTick(() => {
      this.#isHeld = false;
      stream.uncork();
    });
  }
}
