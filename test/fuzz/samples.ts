import type { Dialect, StreamContext } from '../../src/dialects/dialect.ts';
import { dialects } from '../../src/dialects/dialects.ts';
import { quirksOf } from '../../src/domain/quirks.ts';

/**
 * A stream as a provider might send it, and the request that it answers. It reports what its text takes by our count: of one
 * that reports fewer the beginning, cut off and counted by us, costs more than the whole.
 */
export interface Sample {
  readonly name: string;
  readonly dialect: Dialect;
  readonly context: StreamContext;
  readonly bytes: Buffer;
}

const sse = (...events: readonly (object | string)[]) =>
  events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join('');

const named = (...events: readonly { readonly type: string; readonly [member: string]: unknown }[]) =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');

const text = 'Das Meer – 海は広い – is wide 🌊 and "deep".\n';

const chatChunk = (delta: object, more: object = {}) => ({
  id: 'c1',
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta, finish_reason: null, ...more }],
  usage: null,
});

const chat = sse(
  chatChunk({ role: 'assistant', content: '' }),
  chatChunk({ content: text }),
  chatChunk({ reasoning_content: 'Let me think.' }),
  chatChunk({ tool_calls: [{ index: 0, id: 't', function: { name: 'look', arguments: '{"at":' } }] }),
  chatChunk({ tool_calls: [{ index: 0, function: { arguments: '"sea"}' } }] }),
  chatChunk({}, { finish_reason: 'tool_calls' }),
  {
    choices: [],
    usage: {
      prompt_tokens: 40,
      completion_tokens: 26,
      total_tokens: 66,
      prompt_tokens_details: { cached_tokens: 8 },
      completion_tokens_details: { reasoning_tokens: 4 },
    },
  },
  '[DONE]',
);

const completion = sse(
  { id: 'x', object: 'text_completion', choices: [{ index: 0, text, finish_reason: null }] },
  { choices: [{ index: 0, text: '!', finish_reason: 'stop' }] },
  { choices: [], usage: { prompt_tokens: 5, completion_tokens: 17, total_tokens: 22 } },
  '[DONE]',
);

const response = (status: string, usage: object | null) => ({
  id: 'resp_1',
  object: 'response',
  status,
  service_tier: 'default',
  output: [],
  usage,
});

const responses = named(
  ...[
    { type: 'response.created', response: response('in_progress', null) },
    { type: 'response.output_item.added', output_index: 0, item: { type: 'message', id: 'm', content: [] } },
    { type: 'response.output_text.delta', output_index: 0, content_index: 0, item_id: 'm', delta: text },
    { type: 'response.output_text.done', output_index: 0, content_index: 0, item_id: 'm', text },
    { type: 'response.function_call_arguments.delta', output_index: 1, item_id: 'f', delta: '{"a":1}' },
    {
      type: 'response.completed',
      response: response('completed', {
        input_tokens: 30,
        input_tokens_details: { cached_tokens: 10 },
        output_tokens: 22,
        output_tokens_details: { reasoning_tokens: 2 },
        total_tokens: 52,
      }),
    },
  ].map((event, index) => ({ ...event, sequence_number: index })),
);

const messages = named(
  ...[
    {
      type: 'message_start',
      message: {
        id: 'msg_1',
        role: 'assistant',
        content: [],
        usage: {
          input_tokens: 12,
          cache_read_input_tokens: 100,
          cache_creation_input_tokens: 30,
          cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 10 },
          output_tokens: 2,
        },
      },
    },
    { type: 'ping' },
    { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hm. ' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text } },
    { type: 'content_block_start', index: 2, content_block: { type: 'tool_use', id: 't', name: 'look' } },
    { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"at":1}' } },
    { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 33 } },
    { type: 'message_stop' },
  ],
);

const geminiChunk = (parts: readonly object[], output: number, more: object = {}) => ({
  candidates: [{ content: { role: 'model', parts }, index: 0, ...more }],
  usageMetadata: {
    promptTokenCount: 9,
    candidatesTokenCount: output,
    thoughtsTokenCount: 3,
    totalTokenCount: 12 + output,
  },
  modelVersion: 'gemini',
});
const geminiChunks = [
  geminiChunk([{ text: 'thinking', thought: true }], 0),
  geminiChunk([{ text }], 12),
  geminiChunk([{ functionCall: { name: 'look', args: { at: 'sea' } } }], 20, { finishReason: 'STOP' }),
];
const gemini = sse(...geminiChunks).replaceAll('\n', '\r\n');
const geminiArray = `[${geminiChunks.map((chunk) => JSON.stringify(chunk, null, 2)).join('\n,\r\n')}\n]\n`;

const prompt = [{ role: 'user', content: 'Tell me of the sea.' }];
const geminiBody = { contents: [{ role: 'user', parts: [{ text: 'Tell me of the sea.' }] }] };

const given = [
  ['openai.chat', '/v1/chat/completions', { stream: true, messages: prompt }, 'text/event-stream', chat],
  ['openai.completions', '/v1/completions', { stream: true, prompt: 'Sea' }, 'text/event-stream', completion],
  ['openai.responses', '/v1/responses', { stream: true, input: 'Sea' }, 'text/event-stream', responses],
  [
    'anthropic.messages',
    '/v1/messages',
    { stream: true, max_tokens: 100, messages: prompt },
    'text/event-stream',
    messages,
  ],
  [
    'gemini.generate',
    '/v1beta/models/m:streamGenerateContent?alt=sse',
    geminiBody,
    'text/event-stream',
    gemini,
  ],
  ['gemini.generate', '/v1beta/models/m:streamGenerateContent', geminiBody, 'application/json', geminiArray],
] as const;

function dialectAt(name: string, path: string): Dialect {
  const found = dialects.find(
    (dialect) =>
      dialect.name === name && dialect.paths.some((own) => path.startsWith(own.replace(/\*$/, ''))),
  );
  if (found === undefined) throw new Error(`no dialect ${name} at ${path}`);
  return found;
}

/** One stream of each format, as each of several providers sends it. */
export function samples(): readonly Sample[] {
  return given.flatMap(([name, target, body, contentType, stream]) =>
    ['openai', 'xai', 'gemini'].map((provider) => {
      const [path = '', query = ''] = target.split('?');
      const dialect = dialectAt(name, path);
      const request = dialect.readRequest({
        path,
        query: new URLSearchParams(query),
        body: Buffer.from(JSON.stringify({ model: 'm', ...body })),
      });
      if (request.kind === 'refused') throw new Error(`${name}: ${request.message}`);
      return {
        name: `${name} ${contentType} of ${provider}`,
        dialect,
        context: { quirks: quirksOf(provider), request, contentType },
        bytes: Buffer.from(stream),
      };
    }),
  );
}
