import { expectedTokens } from '../corpus.ts';
import type { CorpusApi } from '../corpus-api.ts';
import { deliveredStream } from './openai-chat.ts';

export const openaiCompletionsApi: CorpusApi = {
  api: 'completions',
  dialect: 'openai.completions',
  pathOf: () => '/v1/completions',
  bodyOf: ({ request, stream }, model) => ({ prompt: 'as recorded', ...request, model, stream }),
  deliveredOf: deliveredStream,
  expectedTokens,
  exceptions: new Map(),
  isVoided: () => false,
  isFree: false,
};
