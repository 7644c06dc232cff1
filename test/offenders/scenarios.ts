import { setTimeout as sleep } from 'node:timers/promises';
import type { SlowProvider } from '../support/slow-provider.ts';
import { residentMiB, type Watched, watch } from './bystander.ts';
import type { Held, Site, Tally } from './offences.ts';
import * as offences from './offences.ts';

/** How large the crowds are. */
export interface Scale {
  readonly idleStreams: number;
  /** How long they are watched while nothing happens. */
  readonly idleMs: number;
  readonly nonReaders: number;
  readonly largeAnswers: number;
  readonly largeBodies: number;
  readonly floods: number;
  readonly slowRequests: number;
}

export interface Stage {
  readonly site: Site;
  /** Of another tenant, who has to be served all the time. */
  readonly bystander: Site;
  readonly pid: number;
  readonly provider: SlowProvider;
  readonly stallMs: number;
  readonly scale: Scale;
}

/** One kind of offender, what each of them has to be told, and what all of them may cost. */
export interface Scenario {
  readonly name: string;
  /** Every one of the crowd is answered like this. */
  readonly answer: RegExp;
  /** And some of them like this: what they ask for together is more than there is. */
  readonly some?: RegExp;
  /** It needs the process of the scenario before it, as that left it; all others can have one of their own. */
  readonly followsOn?: boolean;
  /** How much a process that has only served a few requests may grow over all of it: about twice what it does. */
  mostGrowthMiB(scale: Scale): number;
  run(stage: Stage): Promise<Tally>;
}

export interface Finding {
  readonly name: string;
  readonly tally: Tally;
  readonly watched: Watched;
  readonly beforeMiB: number;
  readonly grownMiB: number;
  readonly permittedMiB: number;
  /** What did not hold, a line each. */
  readonly violations: readonly string[];
}

/** What a process takes for a crowd of any size that holds nothing: buffers that are let go, and not collected yet. */
const smallChangeMiB = 128;
/** What is thrown away at full speed, and not collected yet: as much for ten such clients as for a hundred. */
const discardedMiB = 240;
/** MAX_HELD_BYTES, of which each byte is there about four times: as it came, as text, parsed, and as it is sent on. */
const heldMiB = 4 * 128;
const mebibyte = 2 ** 20;
/** Beyond MAX_BODY_BYTES. */
const tooLargeBytes = 100 * mebibyte;
/** Within it, and a few of them beyond MAX_HELD_BYTES. */
const permittedBytes = 20 * mebibyte;
const tooManyAtOnce = 8;

let idle: Held | null = null;

export const scenarios: readonly Scenario[] = [
  {
    name: 'idle streams begin',
    answer: /^200 and its first event$/,
    mostGrowthMiB: ({ idleStreams }) => 0.1 * idleStreams + smallChangeMiB,
    run: async ({ site, scale }) => {
      idle = await offences.idleStreams(site, scale.idleStreams);
      return idle.tally;
    },
  },
  {
    name: 'idle streams go on',
    answer: /^still open$/,
    // What was written of them is garbage until all of the heap is collected, which takes minutes: little of it stays.
    mostGrowthMiB: ({ idleStreams }) => 0.1 * idleStreams + smallChangeMiB / 2,
    followsOn: true,
    run: async ({ scale }) => {
      await sleep(scale.idleMs);
      const clients = idle?.clients ?? [];
      const open = clients.filter((client) => client.isOpen && !client.text().includes('"error"')).length;
      const gone = scale.idleStreams - open;
      idle?.letGo();
      idle = null;
      return { 'still open': open, ...(gone > 0 ? { gone } : {}) };
    },
  },
  {
    name: 'headers without an end',
    answer: /^431 REQUEST_TOO_LARGE$/,
    mostGrowthMiB: () => smallChangeMiB,
    run: ({ site, scale }) => offences.headerFloods(site, scale.floods, 'endless'),
  },
  {
    name: 'too many headers',
    answer: /^431 REQUEST_TOO_LARGE$/,
    mostGrowthMiB: () => smallChangeMiB,
    run: ({ site, scale }) => offences.headerFloods(site, scale.floods, 'many'),
  },
  ...(['headers', 'body', 'silent_body', 'nothing'] as const).map(
    (manner): Scenario => ({
      name: `slow: ${manner}`,
      answer: /^408 REQUEST_TOO_SLOW$/,
      mostGrowthMiB: () => smallChangeMiB,
      run: ({ site, scale, stallMs }) =>
        offences.slowRequests(site, scale.slowRequests, { manner, withinMs: 10 * stallMs + 60_000 }),
    }),
  ),
  ...(
    [
      ['declared', /^413 REQUEST_TOO_LARGE$/],
      ['expecting', /^413 REQUEST_TOO_LARGE$/],
      // Nothing tells how much comes: more of them than are held at once are turned away for that.
      ['chunked', /^(413 REQUEST_TOO_LARGE|503 OVERLOADED retry-after)$/],
      ['unknown', /^401 API_KEY_INVALID$/],
    ] as const
  ).map(
    ([manner, answer]): Scenario => ({
      name: `bodies of 100 MB: ${manner}`,
      answer,
      mostGrowthMiB: () => (manner === 'chunked' ? heldMiB + smallChangeMiB : discardedMiB),
      run: ({ site, scale }) =>
        offences.largeBodies(site, scale.largeBodies, { bytes: tooLargeBytes, manner }),
    }),
  ),
  {
    name: 'bodies of 20 MB, together too much',
    // They are blanks, and those that are taken are read and found to be no JSON.
    answer: /^(400 REQUEST_INVALID|503 OVERLOADED retry-after)$/,
    some: /^503 OVERLOADED/,
    mostGrowthMiB: () => heldMiB + smallChangeMiB,
    run: ({ site, scale }) =>
      offences.largeBodies(site, scale.largeBodies, {
        bytes: permittedBytes,
        manner: 'declared',
        atOnce: tooManyAtOnce,
      }),
  },
  {
    name: 'clients that stop reading a stream',
    answer: /^broken off$/,
    mostGrowthMiB: ({ nonReaders }) => nonReaders + smallChangeMiB,
    run: (stage) => neverRead(stage, 'endless'),
  },
  {
    name: 'clients that stop reading an answer of 32 MB',
    answer: /^(broken off|503 OVERLOADED retry-after)$/,
    some: /^broken off$/,
    mostGrowthMiB: () => 2 * heldMiB + smallChangeMiB,
    run: (stage) => neverRead(stage, 'large'),
  },
];

async function neverRead({ site, scale }: Stage, model: 'endless' | 'large'): Promise<Tally> {
  const count = model === 'endless' ? scale.nonReaders : scale.largeAnswers;
  const held = await offences.nonReaders(site, count, model);
  const tally = await offences.outcomesOfNonReaders(site, held);
  held.letGo();
  return tally;
}

export async function play(scenario: Scenario, stage: Stage): Promise<Finding> {
  const beforeMiB = await residentMiB(stage.pid);
  const watching = watch(stage.bystander, stage.pid);
  const tally = await scenario.run(stage);
  const watched = await watching.end();
  const grownMiB = watched.mostMiB - beforeMiB;
  const permittedMiB = scenario.mostGrowthMiB(stage.scale);
  const { answer, some = answer } = scenario;
  const hasSome = Object.keys(tally).some((outcome) => some.test(outcome));
  const wrong = Object.entries(tally).filter(([outcome]) => !answer.test(outcome));
  const violations = [
    ...wrong.map(([outcome, count]) => `${count} were answered with "${outcome}"`),
    ...(hasSome ? [] : [`none was answered with ${some}`]),
    ...watched.refused.map((words) => `a bystander was answered with "${words}"`),
    ...(grownMiB > permittedMiB
      ? [`the process grew by ${grownMiB.toFixed(0)} MiB, and may by ${permittedMiB.toFixed(0)}`]
      : []),
  ];
  return { name: scenario.name, tally, watched, beforeMiB, grownMiB, permittedMiB, violations };
}
