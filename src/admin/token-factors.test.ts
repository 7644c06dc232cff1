import { expect, test } from 'vitest';
import { tokenFactorCalls } from './token-factors.ts';

const request = { params: {}, query: {}, body: undefined, idempotencyKey: null, actor: 'test' };

test('an admin sees what was learned of how models count', async () => {
  const [call] = tokenFactorCalls({
    factors: () => [
      { model: 'claude', side: 'output', factorPpm: 1_034_500, samples: 20, accuracyPercent: 98.7654321 },
      { model: 'gpt-4o', side: 'input', factorPpm: 1_000_000, samples: 0, accuracyPercent: null },
    ],
  });
  expect([call?.method, call?.path, call?.changesCatalog]).toEqual(['GET', '/token-factors', false]);
  expect(await call?.handle(request)).toEqual({
    kind: 'ok',
    body: {
      data: [
        { model: 'claude', side: 'output', factor: '1.034500', samples: 20, accuracy_percent: 98.77 },
        { model: 'gpt-4o', side: 'input', factor: '1.000000', samples: 0, accuracy_percent: null },
      ],
      next_cursor: null,
    },
  });
});
