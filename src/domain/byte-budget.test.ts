import { expect, it } from 'vitest';
import { ByteBudget } from './byte-budget.ts';

it('gives no more than its limit, over all who hold some', () => {
  const budget = new ByteBudget(100);
  const [one, other] = [budget.open(), budget.open()];
  expect([one.take(60), other.take(41), other.take(40), one.take(1)]).toEqual([true, false, true, false]);
  expect(budget.held).toBe(100);
});

it('has back what one of them held, once, however often that lets go', () => {
  const budget = new ByteBudget(100);
  const [one, other] = [budget.open(), budget.open()];
  one.take(60);
  other.take(40);
  one.letGo();
  one.letGo();
  expect(budget.held).toBe(40);
});

it('keeps what is to be spared', () => {
  const budget = new ByteBudget(100);
  expect([budget.take(76, 25), budget.take(75, 25), budget.take(1, 25), budget.take(25)]).toEqual([
    false,
    true,
    false,
    true,
  ]);
});
