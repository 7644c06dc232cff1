import type { JsonObject } from '../json.ts';
import type { TextEstimate } from '../text-estimate.ts';
import { addValue } from '../value-estimate.ts';

/** Members that no model is shown, of whatever length: names, settings of providers, sampling. */
const unseenMembers: ReadonlySet<string> = new Set([
  'allowed_token_ids',
  'audio',
  'bad_words',
  'cache_control',
  'cache_salt',
  'dry_sequence_breakers',
  'kv_transfer_params',
  'litellm_metadata',
  'logit_bias',
  'metadata',
  'modalities',
  'model',
  'moderation',
  'prompt_cache_key',
  'prompt_cache_options',
  'provider',
  'request_id',
  'safety_identifier',
  'safety_settings',
  'samplers',
  'session_id',
  'stop',
  'stop_regex',
  'stop_token_ids',
  'stream_options',
  'tags',
  'trace',
  'transforms',
  'usage',
  'user',
  'user_id',
  'user_security_context',
]);

/** Shorter texts are settings, like "high" or "json". */
const longestSetting = 64;

/**
 * Adds up what other members than the prompt's own may bring into it: `documents` and `chat_template` do, a
 * grammar may, and whether any other one does is up to the provider. A `prediction` isn't in the prompt:
 * what of it is rejected is billed beside the answer, and nothing else in the request bounds it.
 * @param estimated members that have an estimate of their own
 */
export function addOtherMembers(
  estimate: TextEstimate,
  request: JsonObject,
  estimated: ReadonlySet<string>,
): void {
  for (const [name, value] of Object.entries(request)) {
    if (estimated.has(name) || unseenMembers.has(name)) continue;
    const isText = typeof value === 'string' && value.length > longestSetting;
    if (isText || (typeof value === 'object' && value !== null)) addValue(estimate, value);
  }
}
