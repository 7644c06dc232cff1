import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, asText, type JsonObject, jsonText } from '../json.ts';
import { renderFunctions } from './functions.ts';

/** OpenAI's own account of its chat format: three a message, one more for a name, three to start the answer. */
const tokensPerMessage = 3;
const tokensPerName = 1;
const tokensPerAnswer = 3;
const tokensPerToolCall = 3;
const tokensForFunctions = 9;

function textsOfContent(content: unknown): string[] {
  const text = asText(content);
  if (text !== null) return [text];
  return (asArray(content) ?? []).flatMap((part) => asText(asObject(part)?.text) ?? []);
}

function calledFunctions(message: JsonObject): JsonObject[] {
  const calls = (asArray(message.tool_calls) ?? []).map((call) => asObject(asObject(call)?.function));
  return [...calls, asObject(message.function_call)].filter((call) => call !== null);
}

/** Tool definitions without their wrapping, and the older `functions`, which never had one. */
function definedFunctions(request: JsonObject): unknown[] {
  const tools = (asArray(request.tools) ?? []).flatMap((tool) => asObject(asObject(tool)?.function) ?? []);
  return [...tools, ...(asArray(request.functions) ?? [])];
}

/** The prompt as OpenAI counts it, text only: what an image costs is nowhere in the request. */
export function countablePrompt(request: JsonObject): Countable {
  const texts: string[] = [];
  let overhead = tokensPerAnswer;
  const add = (value: unknown): boolean => {
    const text = asText(value);
    if (text !== null) texts.push(text);
    return text !== null;
  };
  for (const entry of asArray(request.messages) ?? []) {
    const message = asObject(entry) ?? {};
    overhead += tokensPerMessage;
    add(message.role);
    if (add(message.name)) overhead += tokensPerName;
    for (const text of textsOfContent(message.content)) add(text);
    for (const call of calledFunctions(message)) {
      overhead += tokensPerToolCall;
      add(call.name);
      add(call.arguments);
    }
  }
  const functions = definedFunctions(request);
  if (functions.length > 0) {
    overhead += tokensForFunctions;
    texts.push(renderFunctions(functions));
  }
  const { description, schema } = asObject(asObject(request.response_format)?.json_schema) ?? {};
  add(description);
  if (schema !== undefined) add(jsonText(schema));
  return { texts, overhead };
}
