import { describe, expect, it } from 'vitest';
import type { UpstreamId } from '../../domain/ids.ts';
import type { TracedCall } from '../tracer.ts';
import { answerAttributes, callAttributes, callName, usageAttributes } from './gen-ai.ts';

function callOf(changes: Partial<TracedCall> = {}): TracedCall {
  return {
    dialect: { name: 'openai.chat' },
    request: { isFree: false, stream: false, choices: 1, maxOutputTokens: null },
    route: { upstreamModel: 'gpt-5-mini' },
    upstream: { id: 'up' as UpstreamId, provider: 'openai', baseUrl: 'https://api.openai.com/v1' },
    clampedOutput: null,
    ...changes,
  };
}

describe('a call of a provider', () => {
  it.each([
    ['openai.chat', 'chat'],
    ['openai.responses', 'chat'],
    ['openai.completions', 'text_completion'],
    ['openai.embeddings', 'embeddings'],
    ['anthropic.messages', 'chat'],
    ['gemini.generate', 'generate_content'],
  ])('in the format %s is the operation "%s"', (name, operation) => {
    const call = callOf({ dialect: { name } });
    expect(callName(call)).toBe(`${operation} gpt-5-mini`);
    expect(callAttributes(call)['gen_ai.operation.name']).toBe(operation);
  });

  it('that only counts tokens is no inference', () => {
    const call = callOf({ request: { ...callOf().request, isFree: true } });
    expect(callName(call)).toBe('count_tokens gpt-5-mini');
  });

  it.each([
    ['openai', 'openai'],
    ['Gemini', 'gcp.gemini'],
    ['vertex', 'gcp.vertex_ai'],
    ['bedrock', 'aws.bedrock'],
    ['azure', 'azure.ai.openai'],
    ['xai', 'x_ai'],
    ['our-own', 'our-own'],
  ])('of %s has the provider "%s"', (provider, expected) => {
    const call = callOf({ upstream: { ...callOf().upstream, provider } });
    expect(callAttributes(call)['gen_ai.provider.name']).toBe(expected);
  });

  it.each([
    ['https://api.openai.com/v1', 'api.openai.com', 443],
    ['http://10.0.0.7/v1', '10.0.0.7', 80],
    ['http://user:planted@vllm:8000/v1?key=planted', 'vllm', 8000],
  ])('to %s shows no more of it than host and port', (baseUrl, address, port) => {
    const attributes = callAttributes(callOf({ upstream: { ...callOf().upstream, baseUrl } }));
    expect(attributes).toMatchObject({ 'server.address': address, 'server.port': port });
    expect(JSON.stringify(attributes)).not.toContain('planted');
  });

  it('shows what was asked for, where it was, and the maximum that went upstream', () => {
    const request = { isFree: false, stream: true, choices: 3, maxOutputTokens: 900 };
    expect(callAttributes(callOf({ request }))).toMatchObject({
      'gen_ai.request.stream': true,
      'gen_ai.request.choice.count': 3,
      'gen_ai.request.max_tokens': 900,
    });
    const clamped = callAttributes(callOf({ clampedOutput: 300 }));
    expect(clamped['gen_ai.request.max_tokens']).toBe(300);
    expect(Object.keys(callAttributes(callOf()))).not.toContain('gen_ai.request.max_tokens');
  });
});

describe('usage', () => {
  it('is of sums that contain their parts', () => {
    const usage = {
      input: 10,
      cache_read: 4,
      cache_read_audio: 2,
      cache_write_5m: 3,
      cache_write_1h: 1,
      input_audio: 5,
      output: 20,
      reasoning: 7,
      output_audio: 6,
      web_search: 1,
    };
    expect(usageAttributes(usage)).toEqual({
      'gen_ai.usage.input_tokens': 25,
      'gen_ai.usage.cache_read.input_tokens': 6,
      'gen_ai.usage.cache_write.input_tokens': 4,
      'gen_ai.usage.audio.input_tokens': 7,
      'gen_ai.usage.output_tokens': 33,
      'gen_ai.usage.reasoning.output_tokens': 7,
      'gen_ai.usage.audio.output_tokens': 6,
    });
  });

  it('that was not reported is absent, and a zero is a zero', () => {
    expect(usageAttributes({ input: 10, output: 0, cache_read: 0 })).toEqual({
      'gen_ai.usage.input_tokens': 10,
      'gen_ai.usage.output_tokens': 0,
      'gen_ai.usage.cache_read.input_tokens': 0,
    });
  });
});

describe('the end of an answer', () => {
  const reading = { finishReason: 'stop', responseId: 'chatcmpl-1', responseModel: 'gpt-5-mini-2025-08-07' };
  const metered = { usage: { input: 1, output: 2 }, method: 'usage' } as const;

  it('has its finish reason and its names', () => {
    expect(answerAttributes({ outcome: 'completed', metered, reading })).toMatchObject({
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.response.id': 'chatcmpl-1',
      'gen_ai.response.model': 'gpt-5-mini-2025-08-07',
      'tollgate.usage.method': 'usage',
    });
  });

  it('that did not come finishes by an error', () => {
    const { 'gen_ai.response.finish_reasons': reasons } = answerAttributes({
      outcome: 'client_gone',
      metered,
      reading,
    });
    expect(reasons).toEqual(['error']);
  });

  it('shows no name that is rather a text', () => {
    const texts = {
      finishReason: 'You said so.',
      responseId: 'id with words',
      responseModel: 'm'.repeat(257),
    };
    const shown = Object.keys(answerAttributes({ outcome: 'completed', metered, reading: texts }));
    expect(shown.filter((name) => name.startsWith('gen_ai.response'))).toEqual([]);
  });

  it('that nothing is known of has its outcome alone', () => {
    expect(answerAttributes({ outcome: 'upstream_refused', metered: null, reading: null })).toEqual({
      'tollgate.outcome': 'upstream_refused',
    });
  });
});
