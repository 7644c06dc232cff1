import { expect, test } from 'vitest';
import { expectedUnits } from './expected-units.ts';

const search = { type: 'openrouter:web_search' };

test.each([
  ['plain', {}, {}],
  ['a model that always searches', { model: 'gpt-4o-search-preview' }, { web_search: 1 }],
  ['told to search', { web_search_options: {} }, { web_search: 1 }],
  ['both, which is one search', { model: 'gpt-5-search-api', web_search_options: {} }, { web_search: 1 }],
  ['a plugin that searches', { plugins: [{ id: 'web' }, { id: 'file-parser' }] }, { web_search: 1 }],
  ['a tool with a bound', { tools: [{ ...search, parameters: { max_uses: 2 } }] }, { web_search: 2 }],
  ['a tool without one', { tools: [search, { type: 'function' }] }, { web_search: 10 }],
  ["Groq's tool", { tools: [{ type: 'browser_search' }] }, { web_search: 10 }],
  ['a system of tools', { model: 'groq/compound' }, { web_search: 10, web_fetch: 10, code_interpreter: 10 }],
  ['a smaller one', { model: 'compound-mini' }, { web_search: 1, web_fetch: 1, code_interpreter: 1 }],
  ['deep research', { model: 'perplexity/sonar-deep-research' }, { web_search: 100 }],
  ['live search', { search_parameters: { mode: 'auto', max_search_results: 3 } }, { search_source: 3 }],
  ['live search without a bound', { search_parameters: {} }, { search_source: 20 }],
  ['live search that is off', { search_parameters: { mode: 'off' } }, {}],
  ['images of two choices', { modalities: ['text', 'image'] }, { image: 8 }],
  ['audio, which is tokens', { modalities: ['text', 'audio'], audio: { voice: 'alloy' } }, {}],
  [
    'members of the wrong kind',
    {
      model: 7,
      tools: 'x',
      plugins: [null],
      web_search_options: 1,
      search_parameters: [],
      modalities: 'image',
    },
    {},
  ],
])('a request holds for the units that it may come to: %s', (_, request, units) => {
  expect(expectedUnits(request, 2)).toEqual(units);
});
