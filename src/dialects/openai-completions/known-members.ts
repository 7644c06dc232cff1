import { openModelMembers } from '../openai-chat/known-members.ts';

/**
 * Members of a text completion that some provider documents: fewer than those of a chat completion, since
 * nothing searches, draws or calls tools here. What is in none of the lists is refused, as there.
 */
const members: Readonly<Record<string, readonly string[]>> = {
  openai: [
    'best_of',
    'echo',
    'frequency_penalty',
    'logit_bias',
    'logprobs',
    'max_tokens',
    'metadata',
    'model',
    'n',
    'presence_penalty',
    'prompt',
    'prompt_cache_key',
    'response_format',
    'safety_identifier',
    'seed',
    'service_tier',
    'stop',
    'store',
    'stream',
    'stream_options',
    'suffix',
    'temperature',
    'top_logprobs',
    'top_p',
    'user',
  ],
  open: openModelMembers,
  mistral: ['random_seed'],
  openrouter: ['provider', 'reasoning', 'reasoning_effort', 'session_id', 'trace', 'transforms', 'usage'],
  litellm: ['tags', 'litellm_metadata'],
};

export const knownMembers: ReadonlySet<string> = new Set(Object.values(members).flat());
