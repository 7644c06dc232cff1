import { expect, it } from 'vitest';
import {
  type Commanded,
  type HotStateCommand,
  perform,
  randomCommands,
  type StateCommand,
  stateOf,
  tenantOf,
} from '../../../test/support/random-hot-state.ts';
import { failOnFault, useRedis } from '../../../test/support/use-redis.ts';
import { createMemoryHotState } from '../memory.ts';
import { createRedisHotState } from './redis.ts';
import type { RunScript } from './scripts.ts';

const redis = useRedis();

/** Both with nothing in them, and at one time. */
async function startBoth(through: RunScript) {
  await redis.client.flushall();
  let nowMs = 0;
  const clock = { now: () => nowMs, monotonic: () => nowMs };
  let memory: Commanded = { hotState: createMemoryHotState({ clock }), tickets: new Map() };
  const hotState = createRedisHotState({ run: through, now: clock.now, onFault: failOnFault });
  const subject: Commanded = { hotState, tickets: new Map() };
  return {
    subject,
    get memory() {
      return memory;
    },
    setTime: (ms: number) => {
      nowMs = ms;
    },
    flush: async () => {
      // The tickets of before stay, as with a gateway that is just loading.
      memory = { ...memory, hotState: createMemoryHotState({ clock }) };
      await redis.client.flushall();
    },
  };
}

/** @returns how often each answer came */
async function compare(seed: number, count: number, through: RunScript): Promise<Map<string, number>> {
  const both = await startBoth(through);
  const { subject } = both;
  const { hotState } = subject;
  const answers = new Map<string, number>();
  let index = 0;
  for (const timed of randomCommands(seed, count)) {
    both.setTime(timed.nowMs);
    const { command } = timed;
    const at = { seed, index: index++, command };
    if (command.kind === 'flush') {
      await both.flush();
      continue;
    }
    const { memory } = both;
    const expected = await perform(memory, command);
    expect({ at, answer: await perform(subject, command) }).toEqual({ at, answer: expected });
    const tenantId = tenantOf(command);
    const [state, look] = [await stateOf(memory.hotState, tenantId), await memory.hotState.look(tenantId)];
    expect({ at, state: await stateOf(hotState, tenantId) }).toEqual({ at, state });
    expect({ at, look: await hotState.look(tenantId) }).toEqual({ at, look });
    if (expected !== undefined) {
      const name = 'limit' in expected ? expected.limit : expected.kind;
      answers.set(name, (answers.get(name) ?? 0) + 1);
    }
  }
  return answers;
}

const everyAnswer = [
  'admitted',
  'already_open',
  'api_key_amount',
  'api_key_open_requests',
  'api_key_requests',
  'api_key_requests_per_minute',
  'api_key_tokens',
  'api_key_tokens_per_minute',
  'balance',
  'cold',
  'confirmed',
  'daily_requests',
  'extended',
  'monthly_requests',
  'open_requests',
  'requests_per_minute',
  'settled',
  'tokens_per_minute',
];

/** On a busy machine; it has long been over on another. */
const comparesWithinMs = 300_000;

it(
  'answers 10,000 random commands as memory does, to the nano',
  async () => {
    const seed = Number(process.env.SEED ?? 20_261_123);
    const answers = await compare(seed, 10_000, redis.run);
    console.info(`seed ${seed}: ${JSON.stringify(Object.fromEntries(answers))}`);
    expect([...answers.keys()].sort()).toEqual(everyAnswer);
  },
  comparesWithinMs,
);

it(
  'does so when every command is sent twice, whichever of the two answers counts',
  async () => {
    const second: RunScript = async (...call) => {
      await redis.run(...call);
      return await redis.run(...call);
    };
    const first: RunScript = async (...call) => {
      const reply = await redis.run(...call);
      await redis.run(...call);
      return reply;
    };
    await compare(1, 2_000, first);
    await compare(2, 2_000, second);
  },
  comparesWithinMs,
);

/** What goes together in one turn: commands of a kind on the same keys. The others go alone. */
function togetherWith(command: HotStateCommand): string | null {
  switch (command.kind) {
    case 'check':
      return `check ${command.check.tenantId} ${command.check.apiKeyId}`;
    case 'confirm':
      return `confirm ${command.confirmation.tenantId}`;
    case 'deduct':
      return `deduct ${command.hold.tenantId} ${command.hold.apiKeyId}`;
    default:
      return null;
  }
}

/** The ledger has one row of a trace id: no two of its holds are confirmed. */
const isConfirmedIn = (turn: readonly HotStateCommand[], command: HotStateCommand) =>
  command.kind === 'confirm' &&
  turn.some(
    (other) => other.kind === 'confirm' && other.confirmation.traceId === command.confirmation.traceId,
  );

/** Of so many commands those that go together beside each other, and each of the others alone. */
function turnsOf(commands: readonly HotStateCommand[]): readonly (readonly HotStateCommand[])[] {
  const turns = new Map<string, HotStateCommand[]>();
  for (const [index, command] of commands.entries()) {
    const name = togetherWith(command);
    const turn = name === null ? undefined : turns.get(name);
    if (turn !== undefined && !isConfirmedIn(turn, command)) turn.push(command);
    else turns.set(turn === undefined && name !== null ? name : `alone ${index}`, [command]);
  }
  return [...turns.values()];
}

it(
  'answers what is asked in one turn of the event loop as memory does one after the other',
  async () => {
    const both = await startBoth(redis.run);
    const { subject } = both;
    const sizes = new Map<number, number>();
    const commands = [...randomCommands(3, 6_000)];
    for (let from = 0; from < commands.length; from += 60) {
      const some = commands.slice(from, from + 60);
      both.setTime(some.at(-1)!.nowMs);
      for (const turn of turnsOf(some.map(({ command }) => command))) {
        if (turn[0]?.kind === 'flush') {
          await both.flush();
          continue;
        }
        const { memory } = both;
        const asked = turn as readonly StateCommand[];
        sizes.set(asked.length, (sizes.get(asked.length) ?? 0) + 1);
        const expected = [];
        for (const command of asked) expected.push(await perform(memory, command));
        const at = { from, asked };
        const answers = await Promise.all(asked.map((command) => perform(subject, command)));
        expect({ at, answers }).toEqual({ at, answers: expected });
        const tenantId = tenantOf(asked[0]!);
        const state = await stateOf(memory.hotState, tenantId);
        expect({ at, state: await stateOf(subject.hotState, tenantId) }).toEqual({ at, state });
      }
    }
    console.info(`calls in one turn: ${JSON.stringify(Object.fromEntries(sizes))}`);
    expect(Math.max(...sizes.keys())).toBeGreaterThan(6);
  },
  comparesWithinMs,
);
