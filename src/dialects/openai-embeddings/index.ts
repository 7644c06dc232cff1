import type { Dialect } from '../dialect.ts';
import { authorization } from '../openai/authorization.ts';
import { errorBody } from '../openai/errors.ts';
import { readAnswer } from './answer.ts';
import { readRequest } from './request.ts';

/** Embeddings as OpenAI defined them, and Voyage, Mistral, vLLM and others speak them. */
export const openaiEmbeddings: Dialect = {
  name: 'openai.embeddings',
  paths: ['/v1/embeddings'],
  authorization,
  readRequest,
  readAnswer,
  followStream() {
    throw new Error('Embeddings are never a stream: no request of theirs says that its answer is one');
  },
  errorBody,
};
