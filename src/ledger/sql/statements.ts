import { readFileSync } from 'node:fs';

/** The ledger's statements, one file each; a file's head tells its parameters and results. */
export interface Statements {
  readonly createPending: string;
  readonly commitPending: string;
  readonly voidPending: string;
  readonly post: string;
  readonly reverse: string;
  readonly changeLimits: string;
  readonly setApiKeyQuotas: string;
  readonly resetCounters: string;
  readonly findByTrace: string;
  readonly snapshot: string;
  readonly checkpoint: string;
}

const include = /^ *-- include (\S+)$/gm;

/** A statement with its fragments in place: what several statements do alike is written once. */
function read(name: string): string {
  const text = readFileSync(new URL(`./${name}.sql`, import.meta.url), 'utf8');
  return text.replace(include, (_, fragment: string) => read(`fragments/${fragment}`));
}

export function readStatements(): Statements {
  return {
    createPending: read('create-pending'),
    commitPending: read('commit-pending'),
    voidPending: read('void-pending'),
    post: read('post'),
    reverse: read('reverse'),
    changeLimits: read('change-limits'),
    setApiKeyQuotas: read('set-api-key-quotas'),
    resetCounters: read('reset-counters'),
    findByTrace: read('find-by-trace'),
    snapshot: read('snapshot'),
    checkpoint: read('checkpoint'),
  };
}

/** Of the gateway's processes. */
export interface InstanceStatements {
  readonly beat: string;
  readonly unsettledInstances: string;
  readonly endInstance: string;
  readonly settleInstances: string;
  readonly orphans: string;
}

export function readInstanceStatements(): InstanceStatements {
  return {
    beat: read('beat'),
    unsettledInstances: read('unsettled-instances'),
    endInstance: read('end-instance'),
    settleInstances: read('settle-instances'),
    orphans: read('orphans'),
  };
}
