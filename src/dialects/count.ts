/** Ten times what the longest context of today holds: a count beyond it is nobody's count. */
const maxTokens = 100_000_000;

/** Whether a value that a provider reports can be a count of tokens, or of anything that is paid for. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= maxTokens;
}
