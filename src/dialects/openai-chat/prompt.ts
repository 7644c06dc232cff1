import type { Countable } from '../../tokenizer/tokenizer.ts';
import { asArray, asObject, asText, type JsonObject } from '../json.ts';
import { type CalledFunction, callsCountable } from './called-functions.ts';
import { renderFunctions } from './functions.ts';
import { renderResponseFormat } from './response-format.ts';

/**
 * OpenAI's own account of its chat format: three a message, one more for a name, three to start the answer.
 * Models that reason take one less to start it, as recorded prompts show.
 */
const tokensPerMessage = 3;
const tokensPerName = 1;
const tokensPerAnswer = 3;
const tokensPerReasonedAnswer = 2;
/** Calls made at once, and their results, beside what the calls were when they were made. */
const tokensForSeveralCalls = 2;
/** A system message of their own for the function definitions; less where they join one that is there. */
const tokensForFunctions = 9;
const tokensForJoinedFunctions = 6;
/** Instructions on how to call functions, which gpt-5 and later are shown beside the definitions. */
const tokensForInstructions = 81;
const instructedModels = /(^|\/)gpt-[5-9](?![a-z\d])/;
/** OpenAI's models that reason, by their names with or without a provider's before it. */
const reasoningModels = /(^|\/)(o[1-9]|gpt-[5-9])(?![a-z\d])/;
/** Where a function must be called, its name stands in the prompt. */
const tokensForNamedChoice = 5;

const systemRoles: ReadonlySet<unknown> = new Set(['system', 'developer']);

function textsOfContent(content: unknown): string[] {
  const text = asText(content);
  if (text !== null) return [text];
  return (asArray(content) ?? []).flatMap((part) => asText(asObject(part)?.text) ?? []);
}

function calledFunctions(message: JsonObject): CalledFunction[] {
  const calls = (asArray(message.tool_calls) ?? []).map((call) => asObject(asObject(call)?.function));
  return [...calls, asObject(message.function_call)]
    .filter((call) => call !== null)
    .map((call) => ({ name: asText(call.name) ?? '', args: asText(call.arguments) ?? '' }));
}

/** Tool definitions without their wrapping, and the older `functions`, which never had one. */
function definedFunctions(request: JsonObject): unknown[] {
  const tools = (asArray(request.tools) ?? []).flatMap((tool) => asObject(asObject(tool)?.function) ?? []);
  return [...tools, ...(asArray(request.functions) ?? [])];
}

/** Whether there are parts that aren't text: they cost tokens that nothing in the request tells. */
function hasMoreThanText(content: unknown): boolean {
  return (asArray(content) ?? []).some((entry) => {
    const { text, type } = asObject(entry) ?? {};
    return typeof text !== 'string' && type !== 'refusal';
  });
}

/** Documents as a template puts them into the prompt: texts, or objects whose members are texts. */
function textsOfDocuments(documents: unknown): string[] {
  return (asArray(documents) ?? []).flatMap((entry) =>
    [entry, ...Object.values(asObject(entry) ?? {})].flatMap((value) => asText(value) ?? []),
  );
}

/** What a template of the client's own makes of the prompt is the server's to know. */
function isTemplated({
  documents,
  chat_template: template,
  chat_template_kwargs: args,
}: JsonObject): boolean {
  return [documents, template, args].some((value) => value !== undefined && value !== null);
}

/** The function that the model is told to call; null where it may choose. */
function namedChoice({ tool_choice: choice, function_call: legacy }: JsonObject): string | null {
  return asText(asObject(asObject(choice)?.function)?.name) ?? asText(asObject(legacy)?.name);
}

/** Adds up texts and the tokens around them. */
class Prompt {
  readonly texts: string[] = [];
  overhead: number;

  constructor(reasons: boolean) {
    this.overhead = reasons ? tokensPerReasonedAnswer : tokensPerAnswer;
  }

  add(value: unknown): boolean {
    const text = asText(value);
    if (text !== null) this.texts.push(text);
    return text !== null;
  }

  addCountable({ texts, overhead }: Countable): void {
    for (const text of texts) this.texts.push(text);
    this.overhead += overhead;
  }

  addMessage(message: JsonObject): void {
    this.overhead += tokensPerMessage;
    this.add(message.role);
    if (this.add(message.name)) this.overhead += tokensPerName;
    for (const text of textsOfContent(message.content)) this.add(text);
    const calls = calledFunctions(message);
    this.addCountable(callsCountable(calls, 'chosen'));
    if (calls.length > 1) this.overhead += tokensForSeveralCalls;
  }

  addFunctions(request: JsonObject, joinsMessage: boolean): void {
    const functions = definedFunctions(request);
    if (functions.length === 0) return;
    const { text, correction } = renderFunctions(functions);
    this.overhead += (joinsMessage ? tokensForJoinedFunctions : tokensForFunctions) + correction;
    this.add(text);
    if (instructedModels.test(asText(request.model) ?? '')) this.overhead += tokensForInstructions;
    if (this.add(namedChoice(request))) this.overhead += tokensForNamedChoice;
  }
}

/** The prompt as OpenAI counts it, text only: what an image costs is nowhere in the request. */
export function countablePrompt(request: JsonObject): Countable {
  const reasons = reasoningModels.test(asText(request.model) ?? '');
  const prompt = new Prompt(reasons);
  const messages = (asArray(request.messages) ?? []).map((entry) => asObject(entry) ?? {});
  for (const message of messages) prompt.addMessage(message);
  const hasSystemMessage = systemRoles.has(messages[0]?.role);
  // Where a model reasons, the definitions stand by themselves, and the schema in a message that is there.
  prompt.addFunctions(request, hasSystemMessage && !reasons);
  const format = renderResponseFormat(request.response_format, hasSystemMessage || reasons);
  if (format !== null) prompt.addCountable(format);
  for (const text of textsOfDocuments(request.documents)) prompt.add(text);
  const hasMore = isTemplated(request) || messages.some(({ content }) => hasMoreThanText(content));
  return { texts: prompt.texts, overhead: prompt.overhead, ...(hasMore ? { hasMore } : {}) };
}
