import type { CorpusRecord } from '../corpus.ts';
import type { CorpusApi } from '../corpus-api.ts';

/** Counters of a message, and of each iteration that it took. */
export interface MessageCounters {
  readonly type?: string;
  readonly model?: string | null;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cache_creation_input_tokens?: number | null;
  readonly cache_read_input_tokens?: number | null;
  readonly output_tokens_details?: { readonly thinking_tokens?: number | null } | null;
  readonly server_tool_use?: { readonly web_search_requests?: number | null } | null;
  readonly iterations?: readonly MessageCounters[] | null;
}

export function messageCounters({ usage }: CorpusRecord): MessageCounters | null {
  return usage as unknown as MessageCounters | null;
}

/** The counters at the top hold the `message` iterations, and all others stand beside them. */
export function countersOf(counters: MessageCounters): readonly MessageCounters[] {
  return [counters, ...(counters.iterations ?? []).filter(({ type }) => type !== 'message')];
}

function inputOf(counters: MessageCounters): number {
  const { cache_creation_input_tokens: written, cache_read_input_tokens: read } = counters;
  return counters.input_tokens + (written ?? 0) + (read ?? 0);
}

const asRecorded = [{ role: 'user', content: 'as recorded' }];

export const anthropicMessagesApi: CorpusApi = {
  api: 'messages',
  dialect: 'anthropic.messages',
  // The clouds have paths of their own for it; what they take and answer there is the same.
  pathOf: () => '/v1/messages',
  bodyOf({ request, stream }, model) {
    const { _omitted: _, ...recorded } = request ?? {};
    return { max_tokens: 1_024, messages: asRecorded, ...recorded, model, stream };
  },
  deliveredOf: ({ response }) => response.body,
  expectedTokens(record) {
    const counters = messageCounters(record);
    if (counters === null) return null;
    const all = countersOf(counters);
    return {
      input: all.reduce((sum, one) => sum + inputOf(one), 0),
      output: all.reduce((sum, one) => sum + one.output_tokens, 0),
    };
  },
  exceptions: new Map(),
  // Declined before any output: the prompt was counted, and isn't billed.
  isVoided: (record) =>
    messageCounters(record)?.output_tokens === 0 && /"stop_reason": ?"refusal"/.test(record.response.body),
  isFree: false,
};

export const anthropicCountTokensApi: CorpusApi = {
  api: 'count_tokens',
  dialect: 'anthropic.messages',
  pathOf: () => '/v1/messages/count_tokens',
  bodyOf({ request }, model) {
    // Bedrock has a request of another shape, `{input: {converse: …}}`, and its answers are only passed on.
    const { input: _, ...recorded } = request ?? {};
    return { messages: asRecorded, ...recorded, model };
  },
  deliveredOf: ({ response }) => response.body,
  expectedTokens: () => null,
  exceptions: new Map(),
  isVoided: () => false,
  isFree: true,
};
