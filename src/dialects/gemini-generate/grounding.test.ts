import { describe, expect, test } from 'vitest';
import { Grounding, groundingUnits } from './grounding.ts';

const source = { web: { uri: 'https://example.com', title: 'example.com' } };
const place = { maps: { uri: 'https://maps.example', placeId: '1' } };

function unitsOf(model: string, ...metadata: readonly object[]) {
  const grounding = new Grounding();
  for (const each of metadata) grounding.add(each as Record<string, unknown>);
  return grounding.units(model);
}

describe('searches of Google', () => {
  const searched = { webSearchQueries: ['', 'ruby', 'ruby', 'rails'], groundingChunks: [source] };

  test('up to Gemini 2.5 are one grounded prompt, however many queries they took', () => {
    for (const model of [
      'gemini-2.5-flash',
      'gemini-2.0-flash-001',
      'gemini-1.5-pro',
      'models/gemini-2.5-pro',
    ]) {
      expect(unitsOf(model, searched)).toEqual({ grounded_prompt: 1 });
    }
  });

  test('from Gemini 3 on each query counts, empty and repeated ones do not', () => {
    for (const model of [
      'gemini-3-flash-preview',
      'gemini-3.1-pro',
      'gemini-10-pro',
      'gemini-flash-latest',
    ]) {
      expect(unitsOf(model, searched)).toEqual({ web_search: 2 });
    }
  });

  test('that repeat in later chunks and other candidates count once', () => {
    expect(unitsOf('gemini-3-pro', searched, searched, { imageSearchQueries: ['rails', 'gems'] })).toEqual({
      web_search: 3,
    });
    expect(unitsOf('gemini-2.5-pro', searched, searched)).toEqual({ grounded_prompt: 1 });
  });

  test('that found no source are no grounded prompt', () => {
    expect(unitsOf('gemini-2.5-pro', { webSearchQueries: ['ruby'], groundingChunks: [] })).toEqual({});
  });

  test('pages that were read without a search, and metadata that is empty, cost nothing', () => {
    expect(unitsOf('gemini-2.5-flash', { groundingChunks: [source] })).toEqual({});
    expect(unitsOf('gemini-3-flash', { groundingChunks: [source] }, {})).toEqual({});
    expect(unitsOf('gemini-3-flash', { webSearchQueries: 'ruby', groundingChunks: [null, 5] })).toEqual({});
  });

  test('on the map are charged beside those in the web', () => {
    expect(unitsOf('gemini-2.5-flash', { groundingChunks: [place, place] })).toEqual({ grounded_prompt: 1 });
    expect(unitsOf('gemini-2.5-flash', { ...searched, groundingChunks: [source, place] })).toEqual({
      grounded_prompt: 2,
    });
    expect(unitsOf('gemini-3-flash', { ...searched, groundingChunks: [source, place] })).toEqual({
      web_search: 3,
    });
  });
});

describe('what searching may come to', () => {
  test.each([
    'googleSearch',
    'google_search',
    'googleSearchRetrieval',
    'google_maps',
    'enterprise_web_search',
  ])('a request with %s holds money for it', (name) => {
    const request = { tools: [{ functionDeclarations: [] }, { [name]: {} }] };
    expect(groundingUnits(request, 'gemini-2.5-flash')).toEqual({ grounded_prompt: 1 });
    expect(groundingUnits(request, 'gemini-3-flash')).toEqual({ web_search: 10 });
    expect(groundingUnits(request, 'our-own-name')).toEqual({ grounded_prompt: 1, web_search: 10 });
  });

  test('other tools hold nothing', () => {
    expect(
      groundingUnits({ tools: [{ codeExecution: {} }, { googleSearch: null }, null] }, 'gemini-3'),
    ).toEqual({});
    expect(groundingUnits({}, 'gemini-3')).toEqual({});
  });
});
