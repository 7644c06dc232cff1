/** What may be known at once: only what isn't is waited for, which costs every request less than a wait for nothing. */
export type Soon<T> = T | Promise<T>;

/** What becomes of it, at once where it is known. */
export function whenKnown<T, Result>(soon: Soon<T>, use: (value: T) => Soon<Result>): Soon<Result> {
  return soon instanceof Promise ? soon.then(use) : use(soon);
}
