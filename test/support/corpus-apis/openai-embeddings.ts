import type { CorpusApi } from '../corpus-api.ts';

export const openaiEmbeddingsApi: CorpusApi = {
  api: 'embeddings',
  dialect: 'openai.embeddings',
  pathOf: () => '/v1/embeddings',
  bodyOf: ({ request }, model) => ({ input: 'as recorded', ...request, model }),
  deliveredOf: ({ response }) => response.body,
  /** All of the total is input. Voyage once said that two texts had no token at all. */
  expectedTokens({ usage }) {
    const total = usage?.total_tokens;
    return total === undefined || total === 0 ? null : { input: total, output: 0 };
  },
  exceptions: new Map(),
  isVoided: () => false,
  isFree: false,
};
