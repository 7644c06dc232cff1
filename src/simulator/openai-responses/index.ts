import { type Answer, composeAnswer, spokenRefusal, toldTokens } from '../answer.ts';
import type { AnswerEvent, Format, Given, Reply } from '../format.ts';
import { invalidRequest, openaiWording } from '../openai/wording.ts';
import { anyObject, callableTools, type JsonSchema, type Task } from '../task.ts';
import { answerEvents, failureEvents } from './events.ts';
import { type OutputItem, outputItems } from './items.ts';
import { Memory } from './memory.ts';
import { promptOf } from './prompt.ts';
import { itemsOf, parseResponsesRequest, type ResponsesRequest, toolChoiceOf } from './request.ts';
import { finalStatus, responseJson } from './response.ts';

/** `POST /v1/responses`. One of these remembers what its own answers said. */
export function openaiResponses(): Format {
  const memory = new Memory();
  return {
    wording: openaiWording,
    drawnFrom: ({ body }) => body,
    read({ body }) {
      const parsed = parseResponsesRequest(body);
      if (!parsed.ok) return parsed;
      const request = parsed.value;
      const prompt = promptOf(request, memory);
      if (!prompt.ok) return prompt;
      return {
        ok: true,
        value: {
          model: request.model,
          prompt: prompt.value,
          reply: (given) => replyTo(request, given, memory),
        },
      };
    },
    contextExceeded: () =>
      invalidRequest(
        'Your input exceeds the context window of this model. Please adjust your input and try again.',
        'input',
        'context_length_exceeded',
      ),
  };
}

function replyTo(request: ResponsesRequest, given: Given, memory: Memory): Reply {
  const { directives } = given;
  const answer = composeAnswer(taskOf(request), given);
  const items = outputItems(answer);
  const layout = { request, answer, items, usageFault: directives.fault.usage };
  const remember = () => {
    if (request.store !== false) keep(memory, answer, items);
  };
  return {
    usage: answer.usage,
    stream:
      request.stream === true
        ? {
            framing: 'sse',
            events: () => whenClosed(answerEvents(layout, directives.tokens_per_event), remember),
            failure: (sent) => failureEvents(layout, sent),
          }
        : null,
    body: () => {
      remember();
      return JSON.stringify(responseJson(layout, finalStatus(layout)));
    },
    bodyTokens: toldTokens(answer),
    failedBody: () => JSON.stringify(responseJson(layout, 'failed')),
  };
}

/** What was broken off is not kept. */
function* whenClosed(events: Iterable<AnswerEvent>, act: () => void): Generator<AnswerEvent> {
  for (const event of events) {
    if (event.closes) act();
    yield event;
  }
}

/** A later prompt has the prompt and the answer in it, but not what was thought. */
function keep(memory: Memory, { key, usage }: Answer, items: readonly OutputItem[]): void {
  memory.keep(`resp_${key}`, usage.promptTokens + usage.completionTokens - usage.reasoningTokens);
  for (const { id, kind, text } of items) memory.keep(id, kind === 'reasoning' ? 0 : text.tokens);
}

function taskOf(request: ResponsesRequest): Task {
  const offered = (request.tools ?? []).flatMap(({ type, name, parameters }) =>
    type === 'function' && name !== undefined ? [{ name, parameters: parameters ?? {} }] : [],
  );
  const resultIsLast = itemsOf(request).at(-1)?.type === 'function_call_output';
  return {
    choices: 1,
    maxOutputTokens: request.max_output_tokens ?? Number.POSITIVE_INFINITY,
    tools: callableTools(offered, toolChoiceOf(request), resultIsLast),
    callsInParallel: request.parallel_tool_calls !== false,
    schema: schemaOf(request),
    reasoning: { usualTokens: 0, isTold: isGivenText(request.reasoning?.summary), isPossible: true },
    refusal: spokenRefusal,
  };
}

function isGivenText(text: string | null | undefined): boolean {
  return text !== null && text !== undefined;
}

function schemaOf({ text }: ResponsesRequest): JsonSchema | null {
  const format = text?.format;
  if ((format?.type ?? 'text') === 'text') return null;
  return format?.schema ?? anyObject;
}
