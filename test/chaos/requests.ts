import { hashRequest } from '../../src/domain/ids.ts';
import type { Draws } from './draws.ts';
import type { Asked } from './records.ts';
import { brokenModels, type ModelName, type Tenant } from './world.ts';

/** What a client is about to do. */
export interface Errand {
  readonly asked: Asked;
  readonly body: string;
  /** Another one, for the same key. */
  readonly otherBody: string;
  readonly patienceMs: number;
  readonly leavesAfterMs: number | null;
}

export interface ErrandOptions {
  readonly draws: Draws;
  readonly tenant: Tenant;
  /** Of all requests of the run. */
  readonly number: number;
  /** Tokens of the longest streams, which are paced at ten a second. */
  readonly longTokens: { readonly least: number; readonly most: number };
}

interface Kind {
  readonly name: string;
  readonly weight: number;
  readonly isStream: (draws: Draws) => boolean;
  readonly model: (draws: Draws) => ModelName;
  readonly maxTokens: (draws: Draws, options: ErrandOptions) => number;
  readonly leaves: boolean;
}

const kinds: readonly Kind[] = [
  {
    name: 'answer',
    weight: 28,
    isStream: () => false,
    model: (draws) => draws.of(['quick', 'quick', 'brisk']),
    maxTokens: (draws) => draws.between(1, 120),
    leaves: false,
  },
  {
    name: 'stream',
    weight: 22,
    isStream: () => true,
    model: (draws) => draws.of(['quick', 'brisk', 'brisk', 'steady']),
    maxTokens: (draws) => draws.between(1, 120),
    leaves: false,
  },
  {
    name: 'long stream',
    weight: 26,
    isStream: () => true,
    model: () => 'steady',
    maxTokens: (draws, { longTokens }) => draws.between(longTokens.least, longTokens.most),
    leaves: false,
  },
  {
    name: 'stream of one who leaves',
    weight: 10,
    isStream: () => true,
    model: (draws) => draws.of(['brisk', 'steady']),
    maxTokens: (draws) => draws.between(100, 200),
    leaves: true,
  },
  {
    name: 'broken provider',
    weight: 14,
    isStream: (draws) => draws.happens(0.7),
    model: (draws) => draws.of(brokenModels),
    maxTokens: (draws) => draws.between(30, 100),
    leaves: false,
  },
];
const deck = kinds.flatMap((kind) => Array<Kind>(kind.weight).fill(kind));
const keyedShare = 0.5;
const impatientShare = 0.15;
const patienceMs = 25_000;

/** What is asked for is drawn, and what comes of it is up to the faults. */
export function drawErrand(options: ErrandOptions): Errand {
  const { draws, tenant, number } = options;
  const kind = draws.of(deck);
  const wanted = {
    model: kind.model(draws),
    maxTokens: kind.maxTokens(draws, options),
    isStream: kind.isStream(draws),
  };
  return {
    ...errandOf(tenant, { name: kind.name, number, isKeyed: draws.happens(keyedShare), ...wanted }),
    patienceMs: draws.happens(impatientShare) ? draws.between(1_000, 4_000) : patienceMs,
    leavesAfterMs: kind.leaves ? draws.between(0, 6_000) : null,
  };
}

/** As small as can be. */
export function lastErrand(tenant: Tenant, number: number): Errand {
  return errandOf(tenant, {
    name: 'last answer',
    number,
    isKeyed: false,
    model: 'quick',
    maxTokens: 1,
    isStream: false,
  });
}

interface Wanted {
  readonly name: string;
  readonly number: number;
  readonly isKeyed: boolean;
  readonly model: ModelName;
  readonly maxTokens: number;
  readonly isStream: boolean;
}

function errandOf({ id }: Tenant, { name, number, isKeyed, model, maxTokens, isStream }: Wanted): Errand {
  const mark = `chaos-${number}`;
  const request = {
    model,
    user: mark,
    messages: [{ role: 'user', content: 'Tell me of the sea.' }],
    max_tokens: maxTokens,
    stream: isStream,
  };
  const body = JSON.stringify(request);
  return {
    asked: {
      mark,
      tenantId: id,
      kind: `${name} (${model})`,
      isStream,
      idempotencyKey: isKeyed ? `key-${mark}` : null,
      requestHash: hashRequest('openai.chat', Buffer.from(body)),
      attempts: [],
      inquiries: [],
    },
    body,
    otherBody: JSON.stringify({ ...request, max_tokens: maxTokens + 1 }),
    patienceMs,
    leavesAfterMs: null,
  };
}
