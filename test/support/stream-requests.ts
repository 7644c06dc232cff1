import type { AnyJson } from './admin-plane.ts';
import type { TestGateway, TestTenant } from './gateway.ts';

/** A stream as one wire format asks for it, and how its clients read it. */
export interface StreamFormat {
  readonly name: string;
  /** Whether a request has to set a maximum. */
  readonly needsMaximum: boolean;
  path(model: string): string;
  body(model: string, maxTokens: number | null): object;
  /** What an event adds to the text that is seen. */
  textOf(event: AnyJson): string;
  /** Our code, where the event is an error. */
  codeOf(event: AnyJson): string | null;
  /** Whether a client takes an answer that ends with this event as complete. */
  isEnd(event: AnyJson): boolean;
}

const messages = [{ role: 'user', content: 'Tell me of the sea.' }];

export const streamFormats: readonly StreamFormat[] = [
  {
    name: 'openai.chat',
    needsMaximum: false,
    path: () => '/v1/chat/completions',
    body: (model, max_tokens) => ({ model, stream: true, messages, ...(max_tokens && { max_tokens }) }),
    textOf: (event) => event.choices?.[0]?.delta?.content ?? '',
    codeOf: (event) => event.error?.code ?? null,
    isEnd: (event) => event === '[DONE]',
  },
  {
    name: 'openai.responses',
    needsMaximum: false,
    path: () => '/v1/responses',
    body: (model, max) => ({
      model,
      stream: true,
      input: 'Tell me of the sea.',
      ...(max && { max_output_tokens: max }),
    }),
    textOf: (event) => (event.type === 'response.output_text.delta' ? event.delta : ''),
    codeOf: (event) => (event.type === 'error' ? (event.code ?? event.error?.code) : null),
    isEnd: ({ type }) => type === 'response.completed' || type === 'response.incomplete',
  },
  {
    name: 'anthropic.messages',
    needsMaximum: true,
    path: () => '/v1/messages',
    body: (model, max_tokens) => ({ model, stream: true, messages, max_tokens }),
    textOf: (event) => event.delta?.text ?? '',
    codeOf: (event) => (event.type === 'error' ? event.error.code : null),
    isEnd: ({ type }) => type === 'message_stop',
  },
  {
    name: 'gemini.generate',
    needsMaximum: false,
    path: (model) => `/v1beta/models/${model}:streamGenerateContent?alt=sse`,
    body: (_, maxOutputTokens) => ({
      contents: [{ role: 'user', parts: [{ text: 'Tell me of the sea.' }] }],
      ...(maxOutputTokens && { generationConfig: { maxOutputTokens } }),
    }),
    textOf: (event) =>
      (event.candidates?.[0]?.content?.parts ?? []).map((part: AnyJson) => part.text ?? '').join(''),
    codeOf: (event) => event.error?.details?.[0]?.reason ?? null,
    isEnd: (event) => event.candidates?.[0]?.finishReason !== undefined,
  },
];

/** A stream to its end, as its client has it. */
export interface ReadStream {
  readonly status: number;
  readonly traceId: string;
  readonly text: string;
  readonly code: string | null;
  /** Whether the last event is one that the format ends with: its own, or an error. */
  readonly isComplete: boolean;
  readonly endsWithError: boolean;
}

/** @param directives for the simulated provider */
export async function readStream(
  gateway: TestGateway,
  { apiKey }: TestTenant,
  format: StreamFormat,
  asked: {
    readonly model: string;
    readonly maxTokens: number | null;
    readonly directives: Readonly<Record<string, string | number>>;
  },
): Promise<ReadStream> {
  const directives = Object.entries(asked.directives).map(([name, value]) => [
    `x-sim-${name.replaceAll('_', '-')}`,
    String(value),
  ]);
  const response = await fetch(`${gateway.url}${format.path(asked.model)}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      ...Object.fromEntries(directives),
    },
    body: JSON.stringify(format.body(asked.model, asked.maxTokens)),
  });
  const body = await response.text();
  const isStream = response.headers.get('content-type')?.includes('event-stream') === true;
  const events = isStream ? eventsOf(body) : [JSON.parse(body)];
  const last = events.at(-1);
  return {
    status: response.status,
    traceId: response.headers.get('x-request-id') ?? '',
    text: events.map((event) => (typeof event === 'string' ? '' : format.textOf(event))).join(''),
    code: response.status === 200 ? format.codeOf(last) : codeOfBody(last),
    isComplete: isStream && format.isEnd(last),
    endsWithError: isStream && format.codeOf(last) !== null,
  };
}

function eventsOf(body: string): AnyJson[] {
  return body
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data: '))
    .map((line) => line.slice('data: '.length))
    .map((data) => (data === '[DONE]' ? data : JSON.parse(data)));
}

/** Our code of an error that came with its status. */
function codeOfBody(body: AnyJson): string | null {
  return /[A-Z]+(_[A-Z]+)+_(EXCEEDED|UNAVAILABLE|INVALID)/.exec(JSON.stringify(body))?.[0] ?? null;
}
