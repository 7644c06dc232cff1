/** Whether something was called off, and who is told when it is. An `AbortSignal` is one. */
export interface Cancellation {
  readonly aborted: boolean;
  /** Undefined as long as it wasn't. */
  readonly reason: unknown;
  /** Not called where it was called off before. */
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * Calls off one thing, once. An `AbortController` does the same by way of events, which costs several times
 * as much, and every request has two of them.
 */
export class Canceller implements Cancellation {
  #listeners: Set<() => void> | null = null;
  #aborted = false;
  #reason: unknown;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** Told once at the most, as each of its kind is. */
  addEventListener(_type: 'abort', listener: () => void, _options?: { readonly once?: boolean }): void {
    if (this.#aborted) return;
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners?.delete(listener);
  }

  /** Tells all who listen; again it does nothing. What a listener throws is thrown once all were told. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const listeners = this.#listeners ?? [];
    const thrown: unknown[] = [];
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        thrown.push(error);
      }
    }
    this.#listeners = null;
    if (thrown.length > 0) throw thrown[0];
  }
}

/**
 * What comes of something that is waited for, or undefined as soon as it is called off. A race with a promise of that
 * would leave something behind with it each time, for as long as it wasn't called off.
 */
export async function unlessCancelled<T>(waiting: Promise<T>, signal: Cancellation): Promise<T | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
  const callOff = () => resolve(undefined);
  if (signal.aborted) callOff();
  else signal.addEventListener('abort', callOff, { once: true });
  // What fails when nobody waits any more fails nobody.
  waiting.then(resolve, reject);
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', callOff);
  }
}
