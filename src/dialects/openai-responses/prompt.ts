import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { countablePrompt as countableChat } from '../openai-chat/prompt.ts';
import { encryptedTokens } from './encrypted.ts';

/** A list of parts, whatever they are named, as parts with a text; a text as it is. */
function contentOf(content: unknown): unknown {
  const parts = asArray(content);
  if (parts === null) return content;
  return parts.map((entry) => {
    const part = asObject(entry);
    return { text: part?.text ?? part?.refusal };
  });
}

/** What one item is in a chat; null for what is not shown as text. */
function messageOf(item: JsonObject): JsonObject | null {
  switch (item.type) {
    case undefined:
    case null:
    case 'message':
      return { role: item.role, content: contentOf(item.content) };
    case 'function_call':
    case 'custom_tool_call':
      return callMessage(item);
    case 'function_call_output':
    case 'custom_tool_call_output':
      return { role: 'tool', content: contentOf(item.output) };
    case 'reasoning':
      return asArray(item.content) === null ? null : { role: 'assistant', content: contentOf(item.content) };
    default:
      return null;
  }
}

function callMessage({ name, arguments: args, input }: JsonObject): JsonObject {
  return { role: 'assistant', tool_calls: [{ function: { name, arguments: args ?? input } }] };
}

/** Calls that stand side by side were made at once, which is one message of a chat. */
function joinCalls(messages: readonly JsonObject[]): JsonObject[] {
  const joined: JsonObject[] = [];
  let calls: unknown[] | null = null;
  for (const message of messages) {
    const own = asArray(message.tool_calls);
    if (own === null) calls = null;
    else if (calls !== null) {
      calls.push(own[0]);
      continue;
    }
    if (own !== null) calls = [...own];
    joined.push(calls === null ? message : { ...message, tool_calls: calls });
  }
  return joined;
}

/** Function definitions in the wrapping that chats have, also those that a namespace holds. */
function chatTools(tools: unknown): JsonObject[] {
  return (asArray(tools) ?? []).flatMap((entry) => {
    const tool = asObject(entry);
    return [...(asArray(tool?.tools) ?? []), tool].flatMap((definition) => {
      const { type, ...others } = asObject(definition) ?? {};
      return type === 'function' ? [{ function: others }] : [];
    });
  });
}

/**
 * The prompt as OpenAI counts it, text only: what an image, a stored answer or a built-in tool costs is
 * nowhere in the request. Models are shown the same as of a chat completion, so it is counted as that.
 */
export function countablePrompt({
  model,
  instructions,
  input,
  tools,
  tool_choice: choice,
  text,
}: JsonObject): Countable {
  const told = asText(instructions);
  const items = typeof input === 'string' ? [{ role: 'user', content: input }] : (asArray(input) ?? []);
  const format = asObject(asObject(text)?.format);
  const { overhead, ...counted } = countableChat({
    model,
    messages: joinCalls([
      ...(told === null ? [] : [{ role: 'system', content: told }]),
      ...items.map((item) => messageOf(asObject(item) ?? {})).filter((message) => message !== null),
    ]),
    tools: chatTools(tools),
    tool_choice: { function: { name: asObject(choice)?.name } },
    response_format: format?.type === 'json_schema' ? { json_schema: format } : undefined,
  });
  return { ...counted, overhead: overhead + encryptedTokens(input) };
}
