import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { programPath, providePrograms, type Requirement } from '../../test/support/services/find-programs.ts';
import { freePort } from '../../test/support/services/free-port.ts';
import { startServerProcess } from '../../test/support/services/server-process.ts';
import { pinnedTo } from './pinned.ts';

const nginxPrograms: Requirement = {
  name: 'nginx',
  programs: ['nginx'],
  versionArgument: '-v',
  oldestMajor: 1,
  folderVariable: 'BENCH_NGINX_FOLDER',
  otherFolders: async () => ['/usr/sbin'],
  aptPackage: 'nginx-light',
  brewFormula: 'nginx',
};

export interface InstantUpstream {
  readonly url: string;
  stop(): Promise<void>;
}

const readyWithinMs = 5_000;

/** A provider that answers every chat completion at once with the same answer of about 1 KB. */
export async function startInstantUpstream(): Promise<InstantUpstream> {
  await providePrograms([nginxPrograms]);
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-upstream-'));
  const port = await freePort();
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, port));
  const [program = '', ...args] = [
    ...(await pinnedTo('others')),
    await programPath(nginxPrograms),
    '-c',
    join(folder, 'nginx.conf'),
    '-e',
    join(folder, 'error.log'),
  ];
  const process = await startServerProcess({
    program,
    args,
    cwd: folder,
    endSignal: 'SIGQUIT',
    temporaryFolder: folder,
  });
  const url = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + readyWithinMs;
  while (!(await answers(url))) {
    process.requireRunning();
    if (performance.now() > deadline) throw new Error(`nginx does not answer:\n${process.output()}`);
    await sleep(20);
  }
  return { url: `${url}/v1`, stop: () => process.end('SIGQUIT') };
}

const answers = (url: string): Promise<boolean> =>
  fetch(url, { method: 'POST', body: '{}' }).then(
    () => true,
    () => false,
  );

function configuration(folder: string, port: number): string {
  const content = 'The sea was calm that evening. '.repeat(22);
  const answer = JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'bench',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 180, completion_tokens: 155, total_tokens: 335 },
  });
  return `
    daemon off;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    worker_processes 1;
    pid ${folder}/pid;
    events { worker_connections 4096; }
    http {
      access_log off;
      client_body_temp_path ${folder};
      proxy_temp_path ${folder};
      fastcgi_temp_path ${folder};
      uwsgi_temp_path ${folder};
      scgi_temp_path ${folder};
      keepalive_requests 1000000;
      server {
        listen 127.0.0.1:${port};
        location / { default_type application/json; return 200 '${answer}'; }
      }
    }`;
}
