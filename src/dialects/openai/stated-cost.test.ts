import { expect, test } from 'vitest';
import { formatAmount } from '../../domain/money.ts';
import { statedCost } from './stated-cost.ts';

test.each([
  ['dollars', { cost: 0.00123456789 }, '0.001234568'],
  ['dollars with an exponent', { cost: 1.5e-7 }, '0.00000015'],
  ['nothing to pay', { cost: 0 }, '0'],
  ['a sum with its parts', { cost: { input_tokens_cost: 1, total_cost: 0.005 } }, '0.005'],
  ['ticks of 1e-10 dollars', { cost_in_usd_ticks: 1_234_567 }, '0.000123457'],
  ['half a nano', { cost_in_usd_ticks: 25 }, '0.000000002'],
  [
    'a fee beside the cost of our own key',
    { cost: 0.001, is_byok: true, cost_details: { upstream_inference_cost: 0.02 } },
    '0.021',
  ],
  [
    'a cost that holds that of the provider behind it',
    { cost: 0.001, is_byok: false, cost_details: { upstream_inference_cost: 0.001 } },
    '0.001',
  ],
])('%s', (_, usage, amount) => {
  const cost = statedCost(usage);
  expect(cost === null ? null : formatAmount(cost)).toBe(amount);
});

test.each([[{}], [{ cost: null }], [{ cost: '0.1' }], [{ cost: -1 }], [{ cost: 1e300 }], [null]])(
  '%j states nothing',
  (usage) => {
    expect(statedCost(usage)).toBeNull();
  },
);
