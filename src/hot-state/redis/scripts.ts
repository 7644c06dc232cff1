import { Fault } from '../../domain/errors.ts';
import { mastersOf, type RedisClient, ReplyLost, unavailable } from './connect.ts';
import { keysOf, type ScriptArgs, type ScriptOwner, scriptSender } from './script-sender.ts';
import { readScriptText, type ScriptText } from './script-texts.ts';

/** One Lua file each; a file's head tells its arguments and results. */
const scriptNames = [
  'quota_check',
  'quota_confirm',
  'quota_extend',
  'quota_deduct',
  'quota_release',
  'quota_project',
  'quota_load',
  'quota_look',
  'quota_holds',
  'quota_forget',
  'session_lock',
  'session_unlock',
] as const;

export type ScriptName = (typeof scriptNames)[number];

/** Runs a script on the keys of one tenant, and of the API key of a request; or on that of a session. */
export type RunScript = (name: ScriptName, owner: ScriptOwner, args: ScriptArgs) => Promise<unknown>;

/**
 * Loads the scripts, and again wherever one is missing: on a node that restarted or joined.
 * @throws Fault HOT_STATE_UNAVAILABLE, and so does every run; ReplyLost where it may have run nevertheless
 */
export async function loadScripts(client: RedisClient): Promise<RunScript> {
  const entries = scriptNames.map((name): [ScriptName, ScriptText] => [name, readScriptText(name)]);
  const scripts = Object.fromEntries(entries) as Record<ScriptName, ScriptText>;
  try {
    await Promise.all(
      mastersOf(client).flatMap((node) => entries.map(([, { text }]) => node.script('LOAD', text))),
    );
  } catch (error) {
    throw unavailable(error);
  }
  const send = scriptSender(client);
  return async (name, owner, args) => {
    // Nothing queues up for a connection that isn't there.
    if (client.status !== 'ready') throw unavailable(new Error(`the connection is ${client.status}`));
    const script = scripts[name];
    try {
      return await send(script, owner, args);
    } catch (error) {
      if (!isReply(error)) throw new ReplyLost(error);
      if (!error.message.startsWith('NOSCRIPT')) throw unavailable(error);
    }
    try {
      const keys = keysOf(owner);
      return await client.eval(script.text, keys.length, ...keys, ...args);
    } catch (error) {
      throw isReply(error) ? unavailable(error) : new ReplyLost(error);
    }
  };
}

/** The same, and tells how long each took. */
export function timedScripts(
  run: RunScript,
  onRun: (name: ScriptName, durationMs: number) => void,
): RunScript {
  return (name, owner, args) => {
    const startedAtMs = performance.now();
    const ran = run(name, owner, args);
    const end = () => onRun(name, performance.now() - startedAtMs);
    ran.then(end, end);
    return ran;
  };
}

/**
 * An error that Redis itself answered. What a script does for one request changes nothing before it can fail so; what it
 * did for others of the same call before is done.
 */
function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/**
 * Whether a script came to grief over what one of several requests is or what is kept of it, and not over what is so for all of
 * them: a server that is full, loading, or a replica says so before anything runs.
 */
export function failedAtOne(error: unknown): boolean {
  if (!(error instanceof Fault)) return true;
  if (error instanceof ReplyLost) return false;
  if (error.code === 'INTERNAL') return true;
  return isReply(error.cause) && /^(ERR|WRONGTYPE)\b/.test(error.cause.message);
}
