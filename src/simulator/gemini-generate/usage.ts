import type { UsageFault } from '../directives.ts';
import { toldUsage, type Usage, usageMember } from '../usage.ts';

const ofText = (tokenCount: number) => [{ modality: 'TEXT', tokenCount }];

/** Google's `usageMetadata`: thoughts are no part of the candidates, and a count of nothing is left out. */
export function usageMetadata(usage: Usage, fault: UsageFault | null) {
  return usageMember('usageMetadata', toldUsage(usage, fault), (told) => metadataOf(told, fault));
}

function metadataOf(usage: Usage, fault: UsageFault | null) {
  const { promptTokens, cachedTokens, completionTokens, reasoningTokens } = usage;
  const candidatesTokens = completionTokens - reasoningTokens;
  const tellsAll = fault === 'zero_usage';
  return {
    promptTokenCount: promptTokens,
    ...(candidatesTokens > 0 || tellsAll ? { candidatesTokenCount: candidatesTokens } : {}),
    totalTokenCount: promptTokens + completionTokens,
    ...(cachedTokens > 0
      ? { cachedContentTokenCount: cachedTokens, cacheTokensDetails: ofText(cachedTokens) }
      : {}),
    promptTokensDetails: ofText(promptTokens),
    ...(candidatesTokens > 0 ? { candidatesTokensDetails: ofText(candidatesTokens) } : {}),
    ...(reasoningTokens > 0 ? { thoughtsTokenCount: reasoningTokens } : {}),
  };
}
