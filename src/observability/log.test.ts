import { spawn } from 'node:child_process';
import { describe, expect, test } from 'vitest';

const log = new URL('./log.ts', import.meta.url).href;

/** Runs a program that has opened its log. @returns what it has written when `isEnough`, or at its end */
async function logOf(program: string, isEnough: (text: string) => boolean = () => false): Promise<string> {
  const source = `const { openLog } = await import(${JSON.stringify(log)}); const undo = new DisposableStack(); const log = openLog('info', undo); ${program}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    text += chunk;
    if (isEnough(text)) child.kill('SIGKILL');
  }
  return text;
}

const messagesOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).msg);

const untilKilled = 'setInterval(() => {}, 1_000);';
const five = "for (let one = 1; one <= 5; one++) log.info('line ' + one);";
const allFive = ['line 1', 'line 2', 'line 3', 'line 4', 'line 5'];

describe('the log', () => {
  test('a line is written though none follows', async () => {
    const text = await logOf(`log.info('alone'); ${untilKilled}`, (so) => so.endsWith('\n'));
    expect(messagesOf(text)).toEqual(['alone']);
  });

  test('a process that ends by itself loses none', async () => {
    expect(messagesOf(await logOf(five))).toEqual(allFive);
  });

  test('a process that exits loses none', async () => {
    expect(messagesOf(await logOf(`${five} process.exit(1);`))).toEqual(allFive);
  });

  test('a process that an exception ends loses none', async () => {
    expect(messagesOf(await logOf(`${five} throw new Error('crash');`))).toEqual(allFive);
  });

  test('what comes after its end is written too', async () => {
    expect(messagesOf(await logOf(`undo.dispose(); ${five} process.exit(1);`))).toEqual(allFive);
  });

  test('what came before its end is written before what comes after it', async () => {
    const program = `${five} undo.dispose(); log.info('after'); process.exit(1);`;
    expect(messagesOf(await logOf(program))).toEqual([...allFive, 'after']);
  });

  test('trouble is written at once, and what came before it first', async () => {
    // Nothing else can write it: from then on the process does nothing but hold up its timers.
    const busy = 'setImmediate(() => { for (;;) {} });';
    const text = await logOf(`${five} log.error('trouble'); ${busy}`, (so) => so.includes('trouble'));
    expect(messagesOf(text)).toEqual([...allFive, 'trouble']);
  });

  test('more than a batch is written in its order', async () => {
    const text = await logOf("for (let one = 0; one < 5_000; one++) log.info('line ' + one);");
    expect(messagesOf(text)).toEqual(Array.from({ length: 5_000 }, (_, one) => `line ${one}`));
  });
});
