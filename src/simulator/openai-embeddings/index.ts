import type { Format, Given, Reply } from '../format.ts';
import { type Item, itemsOf, promptOfItems } from '../openai/items.ts';
import { invalidRequest, openaiWording } from '../openai/wording.ts';
import { toldUsage, type Usage, usageMember, zeroUsage } from '../usage.ts';
import { type EmbeddingRequest, parseEmbeddingRequest } from './request.ts';
import { base64Of, defaultDimensions, vectorOf } from './vectors.ts';

/** `POST /v1/embeddings`. */
export const openaiEmbeddings: Format = {
  wording: openaiWording,
  drawnFrom: ({ body }) => body,
  read({ body }) {
    const parsed = parseEmbeddingRequest(body);
    if (!parsed.ok) return parsed;
    const request = parsed.value;
    const items = itemsOf(request.input);
    return {
      ok: true,
      value: {
        model: request.model,
        prompt: promptOfItems(items),
        reply: (given) => replyTo(request, items, given),
      },
    };
  },
  contextExceeded: (limit, promptTokens) =>
    invalidRequest(
      `This model's maximum context length is ${limit} tokens, however you requested at least ` +
        `${promptTokens} tokens. Please reduce your prompt.`,
    ),
};

function replyTo(request: EmbeddingRequest, items: readonly Item[], given: Given): Reply {
  const { model, promptTokens, directives } = given;
  const usage: Usage = { ...zeroUsage, promptTokens };
  const encode = (vector: Float32Array) =>
    request.encoding_format === 'base64' ? base64Of(vector) : Array.from(vector);
  return {
    usage,
    stream: null,
    body: () =>
      JSON.stringify({
        object: 'list',
        data: items.map((item, index) => ({
          object: 'embedding',
          index,
          embedding: encode(vectorOf(item, request.dimensions ?? defaultDimensions)),
        })),
        model,
        ...usageMember('usage', toldUsage(usage, directives.fault.usage), usageObject),
      }),
    bodyTokens: 0,
    failedBody: () => openaiWording.body(openaiWording.serverError(), ''),
  };
}

function usageObject({ promptTokens }: Usage) {
  return { prompt_tokens: promptTokens, total_tokens: promptTokens };
}
