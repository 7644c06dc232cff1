import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { programPath, providePrograms, type Requirement } from '../../test/support/services/find-programs.ts';
import { pinnedTo } from './pinned.ts';

const run = promisify(execFile);

const wrkPrograms: Requirement = {
  name: 'wrk',
  programs: ['wrk'],
  oldestMajor: 4,
  folderVariable: 'BENCH_WRK_FOLDER',
  otherFolders: async () => ['/usr/bin', '/usr/local/bin'],
  aptPackage: 'wrk',
  brewFormula: 'wrk',
};

export interface LoadOptions {
  /** Of the chat completions. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Each request is of one of them, at random; absent where the headers have it. */
  readonly apiKeys?: readonly string[];
  readonly connections: number;
  readonly seconds: number;
}

export interface Loaded {
  readonly requests: number;
  /** Answers with another status than 2xx, and connections that broke. */
  readonly failed: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** About 1 KB. */
const body = JSON.stringify({
  model: 'bench',
  messages: [
    { role: 'user', content: 'Tell me of the sea, and of the storm that nobody had thought of. '.repeat(14) },
  ],
});

/** Sends one request after the other on so many connections. */
export async function load({
  url,
  headers,
  apiKeys = [],
  connections,
  seconds,
}: LoadOptions): Promise<Loaded> {
  await providePrograms([wrkPrograms]);
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-load-'));
  try {
    const script = join(folder, 'request.lua');
    await writeFile(script, scriptFor(headers, apiKeys));
    const [program = '', ...args] = [
      ...(await pinnedTo('others')),
      await programPath(wrkPrograms),
      ...[
        '-t',
        '1',
        '-c',
        String(connections),
        '-d',
        `${Math.ceil(seconds)}s`,
        '--timeout',
        '10s',
        '-s',
        script,
        url,
      ],
    ];
    const { stdout } = await run(program, args, { timeout: (seconds + 30) * 1_000 });
    const told = /^TOLD (.*)$/m.exec(stdout)?.[1];
    if (told === undefined) throw new Error(`the load tells nothing:\n${stdout}`);
    return JSON.parse(told) as Loaded;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function scriptFor(headers: LoadOptions['headers'], apiKeys: readonly string[]): string {
  const lines = Object.entries(headers).map(([name, value]) => `wrk.headers["${name}"] = "${value}"`);
  return `
    wrk.method = "POST"
    wrk.body = [==[${body}]==]
    wrk.headers["Content-Type"] = "application/json"
    ${lines.join('\n    ')}
    ${apiKeys.length === 0 ? '' : chooseOf(apiKeys)}
    function done(summary, latency)
      local errors = summary.errors
      local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
      io.write(string.format(
        'TOLD {"requests":%d,"failed":%d,"perSecond":%.2f,"p50Ms":%.4f,"p99Ms":%.4f}\\n',
        summary.requests, failed, summary.requests / (summary.duration / 1e6),
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
    end`;
}

/** The requests are made beforehand: making one takes longer than sending it. */
const chooseOf = (apiKeys: readonly string[]) => `
    local requests = {}
    function init(args)
      for _, key in ipairs({${apiKeys.map((key) => `"${key}"`).join(',')}}) do
        wrk.headers["authorization"] = "Bearer " .. key
        requests[#requests + 1] = wrk.format()
      end
    end
    function request()
      return requests[math.random(#requests)]
    end`;
