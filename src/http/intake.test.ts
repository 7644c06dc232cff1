import { expect, it } from 'vitest';
import { ByteBudget } from '../domain/byte-budget.ts';
import { Intake, Place } from './intake.ts';

const mebibyte = 1024 * 1024;

function intakeOf({ maxRequests = 1_000, heldBytes = mebibyte, inFlight = (): number => 0 } = {}) {
  const bodies = new ByteBudget(heldBytes);
  return { bodies, intake: new Intake({ maxRequests, inFlight, bodies }) };
}

function enter(intake: Intake, declaredBytes: number | null = 100): Place {
  const place = intake.enter(declaredBytes);
  if (!(place instanceof Place)) throw new Error(place.message);
  return place;
}

it('lets in as many as may be under way, and the next when one has left', () => {
  const { intake } = intakeOf({ maxRequests: 2 });
  const first = enter(intake);
  enter(intake);
  expect(intake.enter(100)).toMatchObject({ code: 'OVERLOADED', retryAfterSeconds: 1 });
  first.leave();
  first.leave();
  enter(intake);
  expect(intake.enter(100)).toMatchObject({ code: 'OVERLOADED' });
});

it('counts what goes on behind requests that have their answer', () => {
  const { intake } = intakeOf({ maxRequests: 2, inFlight: () => 2 });
  expect(intake.enter(100)).toMatchObject({ code: 'OVERLOADED' });
});

it('keeps a quarter of the room for small bodies, however many large ones there are', () => {
  const { intake } = intakeOf();
  const large = enter(intake, null);
  while (large.hold(64 * 1024));
  expect(intake.enter(65 * 1024)).toMatchObject({ code: 'OVERLOADED' });
  expect(enter(intake, null).hold(65 * 1024)).toBe(false);
  for (let count = 0; count < 4; count++) expect(enter(intake).hold(64 * 1024)).toBe(true);
  expect(enter(intake, null).hold(1)).toBe(false);
});

it('takes no room for what is only claimed', () => {
  const { intake, bodies } = intakeOf();
  for (let count = 0; count < 100; count++) enter(intake, mebibyte / 2);
  expect(bodies.held).toBe(0);
});

it('has the room back of whoever leaves, and gives none to who has left', () => {
  const { intake, bodies } = intakeOf();
  const place = enter(intake);
  place.hold(1_000);
  place.leave();
  expect(place.hold(1_000)).toBe(false);
  expect(bodies.held).toBe(0);
});
