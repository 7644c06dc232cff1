import { type Refusal, refusal } from '../domain/errors.ts';

/** What the client is told where upstream has nothing to tell it. */
export const unavailable = refusal(
  'UPSTREAM_UNAVAILABLE',
  'The provider could not be reached, or broke off before it answered. Nothing was charged; try again.',
);
export const timedOut = refusal(
  'UPSTREAM_TIMEOUT',
  'The provider did not answer in time. Nothing was charged; try again.',
);
export const tooLarge = refusal(
  'UPSTREAM_UNAVAILABLE',
  "The provider's answer was larger than this gateway passes on. Nothing was charged.",
);
export const noRoom = refusal(
  'OVERLOADED',
  'This gateway holds as many bytes of answers as it can at the moment. Nothing was charged; try again.',
  { retryAfterSeconds: 1 },
);
export const brokenOff = refusal(
  'UPSTREAM_UNAVAILABLE',
  'The provider broke off in the middle of its answer. What was delivered until then was charged.',
);
export const stalled = refusal(
  'UPSTREAM_TIMEOUT',
  'The provider stopped in the middle of its answer. What was delivered until then was charged.',
);
export const unreadable = refusal(
  'UPSTREAM_UNAVAILABLE',
  'The provider, or something in front of it, refused the request without saying why in JSON. Nothing was charged.',
);
export const unreadableAnswer = refusal(
  'UPSTREAM_UNAVAILABLE',
  "The provider's answer is not JSON, so it could not be metered. It was not passed on, and nothing was charged.",
);

export const stopped = refusal(
  'OVERLOADED',
  'This gateway is being stopped, and could not wait for the rest. What was delivered until then was charged; try again.',
);
export const stoppedBefore = refusal(
  'OVERLOADED',
  'This gateway is being stopped, and could not wait for the answer. Nothing was charged; try again.',
);
export const lostTouchBefore = refusal(
  'LEDGER_UNAVAILABLE',
  'The gateway could not reach its ledger for too long. Nothing was charged; try again.',
);
export const lostTouch = refusal(
  'LEDGER_UNAVAILABLE',
  'The gateway could not reach its ledger for too long. What was delivered until then is charged; try again.',
);
export const closedByAnother = refusal(
  'LEDGER_UNAVAILABLE',
  'The gateway stood still for too long, and this request was closed meanwhile. What was charged for it is in the ledger.',
);
export const voidedByAnother = refusal(
  'LEDGER_UNAVAILABLE',
  'The gateway stood still for too long, and this request was closed meanwhile. Nothing was charged; try again.',
);

/** What the client is told where none of the answer was delivered, since it costs more than is held for it. */
export function uncovered({ code }: Refusal): Refusal {
  if (code === 'LEDGER_UNAVAILABLE') return lostTouchBefore;
  return code === 'QUOTA_BALANCE_EXCEEDED'
    ? refusal(code, 'The answer costs more than the balance covers. Nothing was charged: top up the balance.')
    : refusal(code, 'The answer could not be held money for in time. Nothing was charged; try again.');
}
