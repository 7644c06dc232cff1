/** The time, handed in so that a simulation can own it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May step. */
  now(): number;
  /** Milliseconds from an arbitrary origin. Never steps back. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
