import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { pino } from 'pino';
import { beforeAll, expect, it } from 'vitest';
import type { ApiKeyId, TenantId, TraceId } from '../../src/domain/ids.ts';
import { nano } from '../../src/domain/money.ts';
import { createLogObserver } from '../../src/observability/log-observer.ts';
import type { RequestSummary } from '../../src/observability/observer.ts';
import { newDatabase } from '../support/template.ts';
import { alertRules } from './alert-rules.ts';
import { readDashboard } from './dashboard.ts';
import { blocksOf, readRunbook } from './runbook.ts';

// What somebody reads at night has to be true of this version.

const root = fileURLToPath(new URL('../..', import.meta.url));
let text: string;
beforeAll(async () => {
  text = await readRunbook();
});

it('tells of each alert how urgent it is, whom it hurts, where to look and what to do', async () => {
  const sections = text.split(/^##+ /m);
  for (const { alert, labels } of await alertRules()) {
    const [section, ...others] = sections.filter((one) => one.startsWith(`${alert}\n`));
    expect(others, alert).toEqual([]);
    expect(section, alert).toMatch(new RegExp(`^${alert}\n\n\`${labels.severity}\`, `));
    for (const part of ['**Hurts**', '**Look**', '**Do**']) expect(section, alert).toContain(part);
  }
});

it('quotes log lines that the gateway writes', async () => {
  const quoted = [...text.matchAll(/"msg":"([^"]+)"/g)].map(([, line = '']) => line);
  expect(quoted.length).toBeGreaterThan(10);
  const files = (await readdir(join(root, 'src'), { recursive: true })).filter((name) =>
    name.endsWith('.ts'),
  );
  const source = (await Promise.all(files.map((name) => readFile(join(root, 'src', name), 'utf8')))).join(
    '\n',
  );
  for (const line of [...quoted, 'was used and is not charged', 'schema is newer'])
    expect(source.includes(line), line).toBe(true);
});

it('names panels that the dashboard has', async () => {
  const panels = (await readDashboard()).panels.map(({ title }) => title);
  const named = [...text.replaceAll('**', '').matchAll(/\*([A-Z][^*\n]+)\*/g)].map(([, title = '']) => title);
  expect(named.length).toBeGreaterThan(20);
  for (const title of named) expect(panels).toContain(title);
});

it('links to sections and files that are there', async () => {
  const anchor = (heading: string) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-');
  for (const [, target = ''] of text.matchAll(/\]\(([^)]+)\)/g)) {
    const [path = '', section] = target.split('#');
    const page = path === '' ? text : await readFile(join(root, 'docs', path), 'utf8');
    const sections = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchor(heading));
    if (section !== undefined) expect(sections, target).toContain(section);
  }
});

it('has statements that Postgres takes', async () => {
  const database = await newDatabase();
  const client = new Client({ connectionString: database.url });
  await client.connect();
  try {
    const statements = blocksOf(text, 'sql');
    expect(statements.length).toBeGreaterThan(4);
    await client.query('BEGIN');
    // The one that the gateway logs in as, which a statement gives another to.
    await client.query('CREATE ROLE tollgate');
    for (const statement of statements) await client.query(statement);
    await client.query('ROLLBACK');
  } finally {
    await client.end();
    await database.remove();
  }
});

const request: RequestSummary = {
  traceId: 'a-trace' as TraceId,
  tenantId: 'acme' as TenantId,
  apiKeyId: 'key' as ApiKeyId,
  model: 'sea',
  provider: 'sim',
  stream: true,
  code: null,
  outcome: 'client_gone',
  transactionId: null,
  metered: { usage: { input: 3, output: 4 }, method: 'tiktoken' },
  charge: nano(5n),
  unpriced: [],
  exceeded: null,
  latencyMs: 12,
  timeToFirstByteMs: 3,
};

/** As the gateway writes it, welcome included. */
async function writeLog(path: string): Promise<void> {
  const lines = ['Tollgate is ready on http://127.0.0.1:8000\n'];
  const observer = createLogObserver(pino({ level: 'info' }, { write: (line) => lines.push(line) }));
  observer.requestEnded(request);
  observer.requestEnded({
    ...request,
    outcome: 'completed',
    metered: { usage: { input: 3, output: 4 }, method: 'usage' },
  });
  observer.requestEnded({
    ...request,
    traceId: null,
    outcome: 'upstream_cut',
    metered: { usage: { input: 3, output: 4 }, method: 'usage' },
  });
  const refused = { ...request, stream: false, outcome: null, metered: null, charge: null };
  observer.requestEnded({ ...refused, traceId: null, code: 'HOT_STATE_UNAVAILABLE' });
  observer.requestEnded({ ...refused, traceId: null, code: 'API_KEY_INVALID', tenantId: null });
  observer.turnedAway('OVERLOADED');
  observer.fault('confirming a hold', new Error('gone'), 'a-trace' as TraceId);
  await writeFile(path, lines.join(''));
}

it('has commands that find what they say in a log', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-runbook-'));
  try {
    await writeLog(join(folder, 'gateway.log'));
    const commands = blocksOf(text, 'sh').join('').split('\n');
    const printed: string[] = [];
    for (const command of commands.filter((one) => one.includes('gateway.log'))) {
      const env = { PATH: process.env.PATH ?? '', TRACE_ID: 'a-trace' };
      const { stdout, stderr } = await promisify(execFile)('sh', ['-c', command], { cwd: folder, env });
      expect(stderr, command).toBe('');
      printed.push(stdout.replaceAll(/^ +/gm, ''));
    }
    expect(printed).toEqual([
      expect.stringMatching(/^\{"level":50,.*"confirming a hold"\}\n$/),
      '1 "msg":"confirming a hold"\n',
      expect.stringMatching(/^(.+\n){3}$/),
      '1 OVERLOADED\n',
      expect.stringMatching(
        /^1 (HOT_STATE_UNAVAILABLE "acme"\n1 API_KEY_INVALID null|API_KEY_INVALID null\n1 HOT_STATE_UNAVAILABLE "acme")\n$/,
      ),
      '1 sim sea client_gone\n',
      '1 sim sea upstream_cut\n',
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
