import { parentPort } from 'node:worker_threads';
import { goBehindTheEventLoop } from '../threads/thread-priority.ts';
import { cutRuns } from './cut-runs.ts';
import { type EncodingName, encodingNameOf } from './encoding-name.ts';
import type { CountAnswer, CountRequest } from './threaded-tokenizer.ts';

// Counting a long text takes milliseconds, and loading an encoding a tenth of a second: in a thread of
// its own, neither delays a relayed byte.

if (parentPort === null) throw new Error('tokens are counted in a worker thread only');
const port = parentPort;

goBehindTheEventLoop();

interface Encoding {
  countTokens(text: string, options: { readonly disallowedSpecial: Set<string> }): number;
  setMergeCacheSize(size: number): void;
}

const loaders: Readonly<Record<EncodingName, () => Promise<Encoding>>> = {
  o200k_base: () => import('gpt-tokenizer/encoding/o200k_base'),
  cl100k_base: () => import('gpt-tokenizer/encoding/cl100k_base'),
};

/** Words whose tokens are remembered. The library's own 100,000 may be of 512 letters each here. */
const rememberedWords = 20_000;

/** No text is special: `<|endoftext|>` in a message is what someone wrote, and counts as its characters. */
const options = { disallowedSpecial: new Set<string>() };

const loaded = new Map<EncodingName, Promise<Encoding>>();

async function load(name: EncodingName): Promise<Encoding> {
  const encoding = await loaders[name]();
  encoding.setMergeCacheSize(rememberedWords);
  return encoding;
}

function encodingOf(model: string): Promise<Encoding> {
  const name = encodingNameOf(model);
  const known = loaded.get(name) ?? load(name);
  loaded.set(name, known);
  return known;
}

async function count({ id, model, texts }: CountRequest): Promise<CountAnswer> {
  try {
    const encoding = await encodingOf(model);
    let tokens = 0;
    for (const text of texts) {
      for (const piece of cutRuns(text)) tokens += encoding.countTokens(piece, options);
    }
    return { id, tokens };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Answers go back together, as they were asked for: to wake who asked costs more than most counts. */
const longestTogether = 4_000;

const lengthOf = ({ texts }: CountRequest) => texts.reduce((sum, { length }) => sum + length, 0);

port.on('message', async (requests: readonly CountRequest[]) => {
  let answers: CountAnswer[] = [];
  let counted = 0;
  const answerAll = () => {
    if (answers.length > 0) port.postMessage(answers);
    answers = [];
    counted = 0;
  };
  for (const request of requests) {
    const length = lengthOf(request);
    // What is ready doesn't wait for a long text, which may take seconds.
    if (counted + length > longestTogether) answerAll();
    answers.push(await count(request));
    counted += length;
  }
  answerAll();
});
