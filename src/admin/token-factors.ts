import type { TokenFactor, Tokenizer } from '../tokenizer/tokenizer.ts';
import { type AdminCall, adminCall, type Json } from './admin-call.ts';
import { wholePage } from './pages.ts';

const ppmDigits = 6;
const accuracyDigits = 2;

/** What the gateway learned of how models count: this process's, which it shares with others by the database. */
export function tokenFactorCalls(tokenizer: Pick<Tokenizer, 'factors'>): readonly AdminCall[] {
  return [
    adminCall({
      method: 'GET',
      path: '/token-factors',
      handle: async () => wholePage(tokenizer.factors().map(factorJson)),
    }),
  ];
}

function factorJson({ model, side, factorPpm, samples, accuracyPercent }: TokenFactor): Json {
  return {
    model,
    side,
    factor: (factorPpm / 10 ** ppmDigits).toFixed(ppmDigits),
    samples,
    accuracy_percent: accuracyPercent === null ? null : Number(accuracyPercent.toFixed(accuracyDigits)),
  };
}
