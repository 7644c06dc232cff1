import { composeAnswer, toldTokens } from '../answer.ts';
import type { Call, Format, Given, Reply } from '../format.ts';
import { noPieces } from '../pieces.ts';
import {
  anyObject,
  callableTools,
  defaultReasoningTokens,
  type JsonSchema,
  type Task,
  type TaskReasoning,
} from '../task.ts';
import { answerEvents, failureEvents, responseBody } from './candidates.ts';
import { promptOf } from './prompt.ts';
import { type GenerateRequest, parseCountRequest, parseGenerateRequest, toolChoiceOf } from './request.ts';
import { geminiWording } from './wording.ts';

/** The model stands in the path, its directives with it: `/v1beta/models/sim-small%3Ftokens%3D5:generateContent`. */
const modelPath = /^\/v1(?:beta|alpha)?\/models\/(.+):(\w+)$/;

/** What is served at a path; null where none of Google's is. */
export function geminiFormatOf(path: string): Format | null {
  const method = modelPath.exec(path)?.[2] ?? '';
  return methods.get(method) ?? null;
}

function modelIn({ path }: Pick<Call, 'path'>): string {
  const encoded = modelPath.exec(path)?.[1] ?? '';
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

const shared = {
  wording: geminiWording,
  // A stream and a body that are asked alike say the same, as in the other formats.
  drawnFrom: (call) => Buffer.concat([Buffer.from(`${modelIn(call)}\0`), call.body]),
  contextExceeded: (limit, promptTokens) =>
    geminiWording.invalid(
      `The input token count (${promptTokens}) exceeds the maximum number of tokens allowed (${limit}).`,
    ),
} as const satisfies Omit<Format, 'read'>;

type Framed = 'sse' | 'json_array' | null;

function generating(framingOf: (call: Call) => Framed): Format {
  return {
    ...shared,
    read(call) {
      const parsed = parseGenerateRequest(call.body);
      if (!parsed.ok) return parsed;
      const request = parsed.value;
      return {
        ok: true,
        value: {
          model: modelIn(call),
          prompt: promptOf(request),
          reply: (given) => replyTo(request, framingOf(call), given),
        },
      };
    },
  };
}

/** Free, and exactly what an answer to this prompt reports. */
const countTokens: Format = {
  ...shared,
  read(call) {
    const parsed = parseCountRequest(call.body);
    if (!parsed.ok) return parsed;
    return {
      ok: true,
      value: { model: modelIn(call), prompt: promptOf(parsed.value), reply: replyWithCount },
    };
  },
};

const methods: ReadonlyMap<string, Format> = new Map([
  ['generateContent', generating(() => null)],
  [
    'streamGenerateContent',
    generating(({ query }) => (query.get('alt')?.startsWith('sse') ? 'sse' : 'json_array')),
  ],
  ['countTokens', countTokens],
]);

function replyTo(request: GenerateRequest, framing: Framed, given: Given): Reply {
  const { directives } = given;
  const answer = composeAnswer(taskOf(request), given);
  return {
    usage: answer.usage,
    stream:
      framing === null
        ? null
        : { framing, events: () => answerEvents(answer, directives), failure: failureEvents },
    body: () => responseBody(answer, directives),
    bodyTokens: toldTokens(answer),
    failedBody,
  };
}

function replyWithCount({ promptTokens }: Given): Reply {
  const details = [{ modality: 'TEXT', tokenCount: promptTokens }];
  return {
    usage: null,
    stream: null,
    body: () => JSON.stringify({ totalTokens: promptTokens, promptTokensDetails: details }),
    bodyTokens: 0,
    failedBody,
  };
}

function failedBody(): string {
  return geminiWording.body(geminiWording.serverError(), '');
}

function taskOf(request: GenerateRequest): Task {
  const { generationConfig: config } = request;
  const offered = (request.tools ?? [])
    .flatMap(({ functionDeclarations }) => functionDeclarations ?? [])
    .map(({ name, parameters, parametersJsonSchema }) => ({
      name,
      parameters: parameters ?? parametersJsonSchema ?? {},
    }));
  const lastParts = request.contents.at(-1)?.parts ?? [];
  const resultIsLast = lastParts.some(({ functionResponse }) => functionResponse !== undefined);
  return {
    choices: config?.candidateCount ?? 1,
    maxOutputTokens: config?.maxOutputTokens ?? Number.POSITIVE_INFINITY,
    tools: callableTools(offered, toolChoiceOf(request), resultIsLast),
    callsInParallel: true,
    schema: schemaOf(request),
    reasoning: reasoningOf(request),
    // What Google refuses it refuses without a word.
    refusal: noPieces,
  };
}

function schemaOf({ generationConfig: config }: GenerateRequest): JsonSchema | null {
  if (config?.responseMimeType !== 'application/json') return null;
  return config.responseSchema ?? config.responseJsonSchema ?? anyObject;
}

function reasoningOf({ generationConfig: config }: GenerateRequest): TaskReasoning {
  const { includeThoughts, thinkingBudget, thinkingLevel } = config?.thinkingConfig ?? {};
  const isOn = includeThoughts === true || thinkingBudget !== undefined || thinkingLevel !== undefined;
  return {
    usualTokens: isOn ? defaultReasoningTokens : 0,
    isTold: includeThoughts === true,
    isPossible: thinkingBudget !== 0,
  };
}
