import type { CorpusRecord } from '../corpus.ts';
import type { CorpusApi } from '../corpus-api.ts';

/** Google's usage, as far as the total is made of it. */
export interface GeminiUsage {
  readonly promptTokenCount?: number;
  readonly toolUsePromptTokenCount?: number;
  readonly totalTokenCount?: number;
}

export function geminiUsage({ usage }: CorpusRecord): GeminiUsage | null {
  return usage as unknown as GeminiUsage | null;
}

/** Input is the prompt and what tools put beside it, and output all the rest of the total. */
export function geminiTokens(record: CorpusRecord): { input: number; output: number } | null {
  const { promptTokenCount, toolUsePromptTokenCount = 0, totalTokenCount } = geminiUsage(record) ?? {};
  if (promptTokenCount === undefined || totalTokenCount === undefined) return null;
  const input = promptTokenCount + toolUsePromptTokenCount;
  return { input, output: totalTokenCount - input };
}

/** As it was recorded, but for the model, which is the path's. */
function bodyOf({ request }: CorpusRecord, model: string): Readonly<Record<string, unknown>> {
  const { _omitted: _, ...recorded } = request ?? {};
  const named = 'model' in recorded ? { model: `models/${model}` } : {};
  return { contents: [{ role: 'user', parts: [{ text: 'as recorded' }] }], ...recorded, ...named };
}

const shared = {
  dialect: 'gemini.generate',
  bodyOf,
  deliveredOf: ({ response }: CorpusRecord) => response.body,
  expectedTokens: geminiTokens,
  exceptions: new Map<string, string>(),
};

export const geminiGenerateApi: CorpusApi = {
  ...shared,
  api: 'generateContent',
  pathOf: (_, model) => `/v1beta/models/${model}:generateContent`,
  /** A prompt that Model Armor stopped: no token of it was counted, and nothing was generated. */
  isVoided: ({ response }) => response.body.includes('"blockReason":"MODEL_ARMOR"'),
  isFree: false,
};

export const geminiStreamApi: CorpusApi = {
  ...shared,
  api: 'streamGenerateContent',
  pathOf: ({ response }, model) =>
    `/v1beta/models/${model}:streamGenerateContent${response.body.startsWith('[') ? '' : '?alt=sse'}`,
  isVoided: () => false,
  isFree: false,
};

export const geminiCountTokensApi: CorpusApi = {
  ...shared,
  api: 'countTokens',
  pathOf: (_, model) => `/v1beta/models/${model}:countTokens`,
  bodyOf: (record, model) => (record.request === null ? bodyOf(record, model) : { ...record.request }),
  expectedTokens: () => null,
  isVoided: () => false,
  isFree: true,
};
