import { existsSync, readFileSync } from 'node:fs';

/** Answers of providers, recorded by public projects. They are shared beside the repository, not in it. */
const folder = new URL('../../../shared/corpus/', import.meta.url);

export interface ReportedUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly completion_tokens_details?: { readonly reasoning_tokens?: number | null } | null;
}

export interface CorpusRecord {
  readonly id: string;
  readonly provider: string;
  readonly stream: boolean;
  readonly model: string | null;
  readonly request: { readonly [name: string]: unknown } | null;
  readonly response: { readonly status: number; readonly content_type: string; readonly body: string };
  readonly usage: ReportedUsage | null;
  readonly chunk_sizes?: readonly number[] | null;
}

/** The records of one API; none where the corpus isn't here, which is said. */
export function readCorpus(api: string): readonly CorpusRecord[] {
  const file = new URL(`${api}.jsonl`, folder);
  if (!existsSync(file)) {
    console.info(`corpus: not here, 0 records of ${api} run; the other tests run all the same`);
    return [];
  }
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Chunks as they were recorded, or of sizes drawn from the text itself, so that each run cuts alike. */
export function chunksOf({ response, chunk_sizes: sizes }: CorpusRecord): Buffer[] {
  const bytes = Buffer.from(response.body);
  const chunks: Buffer[] = [];
  for (let from = 0, index = 0; from < bytes.length; index++) {
    const size = sizes?.[index] ?? 1 + ((bytes[(index * 31) % bytes.length] ?? 0) % 97);
    chunks.push(bytes.subarray(from, from + size));
    from += size;
  }
  return chunks;
}

/** What a record comes to by its total alone: input is the prompt, and output is all the rest. */
export function expectedTokens({ usage }: CorpusRecord): { input: number; output: number } | null {
  if (usage === null) return null;
  return { input: usage.prompt_tokens, output: usage.total_tokens - usage.prompt_tokens };
}

/** Records whose sums are not the provider's own total, with the reason for each. */
export const chatExceptions: ReadonlyMap<string, string> = new Map(
  [
    'json-grok-4-1-fast-non-reason-chat-basic-chat-functionality-azure-grok-4-1-f-75fccb8a',
    'json-grok-4-1-fast-non-reason-chat-basic-chat-functionality-azure-grok-4-1-f-b62c1498',
    'json-grok-4-1-fast-non-reason-chat-with-params-azure-grok-4-1-fast-non-reaso-fdfe5b87',
    'sse-grok-4-1-fast-non-reason-chat-function-calling-azure-grok-4-1-fast-non-de64e726',
    'sse-grok-4-1-fast-non-reason-chat-streaming-responses-azure-grok-4-1-fast-n-cf5fc36e',
  ].map((id) => [
    `azure-chat-completions-${id}`,
    // 161 cached of 7 prompt tokens, of a prompt with some 160 hidden ones.
    'Grok on Azure: prompt_tokens leaves out cached_tokens, and so does total_tokens',
  ]),
);

/** What a client that didn't ask for usage is sent of a stream: all but the chunks that only carry it. */
export function withoutUsageChunks(body: string): string {
  const events = body.split(/(?<=\n\n|\r\n\r\n)/);
  return events.filter((event) => !/"choices": ?\[\]/.test(event) || !/"usage": ?\{/.test(event)).join('');
}
