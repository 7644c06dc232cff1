import type { CorpusRecord } from '../corpus.ts';
import type { CorpusApi } from '../corpus-api.ts';

/** The usage of a response, which has other names than that of a chat completion. */
export interface ResponseUsage {
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly total_tokens: number;
  readonly output_tokens_details?: { readonly reasoning_tokens?: number | null } | null;
  readonly num_server_side_tools_used?: number;
}

export function responseUsage({ usage }: CorpusRecord): ResponseUsage | null {
  return usage as unknown as ResponseUsage | null;
}

/** Answered at once as queued, and generated later: the gateway refuses to ask for that. */
const inBackground = 'openai-responses-json-gpt-5-6-sol-background-mode-reasoning-vcr-3c197316';

/** Answered with an image, made by a model of its own. */
const withImages = [
  'azure-responses-json-gpt-4-1-mini-azure-image-generation-tool-1-17a6ea62',
  'azure-responses-sse-gpt-4-1-mini-azure-image-generation-tool-1-b5fe06de',
  'openai-responses-json-gpt-5-nano-2025-08-07-openai-image-generation-tool-1-53a8a701',
];

export const openaiResponsesApi: CorpusApi = {
  api: 'responses',
  dialect: 'openai.responses',
  pathOf: () => '/v1/responses',
  bodyOf({ request, stream }, model) {
    const { _omitted: _, background: __, ...recorded } = request ?? {};
    return { input: 'as recorded', ...recorded, model, stream };
  },
  deliveredOf: ({ response }) => response.body,
  /** Input is what it says, and output all the rest of the total. All zero was said of answers with output only. */
  expectedTokens(record) {
    const usage = responseUsage(record);
    if (usage === null || usage.total_tokens === 0) return null;
    return { input: usage.input_tokens, output: usage.total_tokens - usage.input_tokens };
  },
  exceptions: new Map([
    [
      inBackground,
      'background: true, queued and without usage: the gateway refuses to ask for it, and bills the prompt',
    ],
    ...withImages.map((id): [string, string] => [
      id,
      'the image has tokens of another model, by its published size: no usage of the provider has them',
    ]),
  ]),
  isVoided: () => false,
  isFree: false,
};
