import { asText, type JsonObject } from '../json.ts';

/** OpenAI's default, and the only one when answers didn't name it yet. */
export const assumedImageModel = 'gpt-image-1';

/** Tokens of one image as OpenAI publishes them for its gpt-image models, by quality and size. */
const publishedTokens: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  low: { '1024x1024': 272, '1024x1536': 408, '1536x1024': 400 },
  medium: { '1024x1024': 1_056, '1024x1536': 1_584, '1536x1024': 1_568 },
  high: { '1024x1024': 4_160, '1024x1536': 6_240, '1536x1024': 6_208 },
};

/** Answers name the quality and the size that were taken; where one doesn't, these are. */
const assumedQuality = 'medium';
const assumedSize = '1024x1024';

/** @param item an `image_generation_call` of an answer without counts of its images */
export function imageTokensOf({ quality, size }: JsonObject): number {
  const bySize = publishedTokens[asText(quality) ?? ''] ?? publishedTokens[assumedQuality] ?? {};
  return bySize[asText(size) ?? ''] ?? bySize[assumedSize] ?? 0;
}

/** At most, for one image that a tool is asked for: a quality that isn't set is chosen by the model. */
export function mostImageTokens({ quality }: JsonObject): number {
  const bySize = publishedTokens[asText(quality) ?? ''] ?? publishedTokens.high ?? {};
  return Math.max(...Object.values(bySize));
}
