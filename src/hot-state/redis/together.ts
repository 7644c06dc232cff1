import { ReplyLost } from './connect.ts';
import type { KeyOwner } from './keys.ts';
import type { ScriptArgs } from './script-sender.ts';
import { failedAtOne } from './scripts.ts';

/** A script that takes several calls on the keys of one owner, and answers them in their order. */
export interface TogetherScript<Call, Answer> {
  run(owner: KeyOwner, args: ScriptArgs): Promise<unknown>;
  argsOf(calls: readonly Call[], owner: KeyOwner): ScriptArgs;
  /** @throws where this isn't the reply to so many calls */
  read(reply: unknown, count: number): readonly Answer[];
}

/** What waits for the end of the turn; each call has what answers it at the same place. */
interface Group<Call, Answer> {
  readonly owner: KeyOwner;
  readonly calls: Call[];
  readonly answers: Answers<Answer>[];
}

interface Answers<Answer> {
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/** So many calls at the most: Redis does nothing else meanwhile. */
const mostTogether = 64;

/**
 * What is asked on the same keys in one turn of the event loop goes to Redis as one call of a script, and out with all
 * that the turn sends: of a tenant that is busy a request costs Redis, and this process, a part of what it costs alone.
 */
export class Together<Call, Answer> {
  readonly #script: TogetherScript<Call, Answer>;
  #groups = new Map<string, Group<Call, Answer>>();

  constructor(script: TogetherScript<Call, Answer>) {
    this.#script = script;
  }

  ask(owner: KeyOwner, call: Call): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { calls, answers } = this.#groupOf(owner);
      calls.push(call);
      answers.push({ resolve, reject });
    });
  }

  #groupOf(owner: KeyOwner): Group<Call, Answer> {
    if (this.#groups.size === 0) setImmediate(this.#sendAll);
    const name = `${owner.tenantId}\n${owner.apiKeyId ?? ''}`;
    const known = this.#groups.get(name);
    if (known !== undefined && known.calls.length < mostTogether) return known;
    if (known !== undefined) this.#send(known);
    const group: Group<Call, Answer> = { owner, calls: [], answers: [] };
    this.#groups.set(name, group);
    return group;
  }

  readonly #sendAll = (): void => {
    const groups = this.#groups;
    this.#groups = new Map();
    for (const group of groups.values()) this.#send(group);
  };

  #send(group: Group<Call, Answer>, isPart = false): void {
    const { owner, calls, answers } = group;
    const { run, argsOf, read } = this.#script;
    const answerAll = (reply: unknown) => {
      const said = read(reply, calls.length);
      answers.forEach(({ resolve }, index) => {
        resolve(said[index] as Answer);
      });
    };
    new Promise<unknown>((sent) => sent(run(owner, argsOf(calls, owner))))
      .then(answerAll)
      .catch((error: unknown) => {
        if (!isPart && calls.length > 1 && failedAtOne(error)) this.#sendEach(group);
        // It may have run with the whole, and fails by itself now: what is left of it isn't known.
        else for (const { reject } of answers) reject(isPart ? new ReplyLost(error) : error);
      });
  }

  /** What a script fails at for one call must not fail the others. Each may run twice. */
  #sendEach({ owner, calls, answers }: Group<Call, Answer>): void {
    calls.forEach((call, index) => {
      this.#send({ owner, calls: [call], answers: answers.slice(index, index + 1) }, true);
    });
  }
}
