/**
 * What else providers are called: by those who publish prices, and by operators who set an upstream's
 * `provider`. Prices are kept and looked up by the name on the right.
 */
const otherNames: ReadonlyMap<string, string> = new Map([
  ['google', 'gemini'],
  ['google-ai-studio', 'gemini'],
  ['vertex_ai', 'vertex'],
  ['vertex-ai', 'vertex'],
  ['google-vertex', 'vertex'],
  ['azure_ai', 'azure'],
  ['azure-openai', 'azure'],
  ['aws', 'bedrock'],
  ['aws-bedrock', 'bedrock'],
  ['amazon-bedrock', 'bedrock'],
  ['x-ai', 'xai'],
  ['together_ai', 'together'],
  ['together-ai', 'together'],
  ['fireworks_ai', 'fireworks'],
  ['fireworks-ai', 'fireworks'],
  ['moonshotai', 'moonshot'],
  ['voyageai', 'voyage'],
  ['dashscope', 'alibaba'],
  ['mistralai', 'mistral'],
  ['vercel_ai_gateway', 'vercel-gateway'],
  ['github_copilot', 'github-copilot'],
]);

/** The one name of a provider in the price book; a provider that isn't known keeps its own. */
export function providerName(name: string): string {
  const small = name.toLowerCase();
  return otherNames.get(small) ?? small;
}
