/** The time, handed in so that a simulation can own it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May step. */
  now(): number;
  /** Milliseconds from an arbitrary origin. Never steps back. */
  monotonic(): number;
}

/** What waits for a time to pass, by the monotonic clock. */
export interface Timers {
  /** Calls back once, `ms` from now; the function that it returns forgets it, and does nothing afterwards. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock & Timers = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves when so much time has passed. */
export function sleep(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => void timers.after(ms, resolve));
}

/** Null when it takes longer than `waitMs`: it goes on all the same. */
export function within<T>(timers: Timers, work: Promise<T>, waitMs: number): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const forget = timers.after(waitMs, () => resolve(null));
    work.then(
      (value) => {
        forget();
        resolve(value);
      },
      (error) => {
        forget();
        reject(error);
      },
    );
  });
}
