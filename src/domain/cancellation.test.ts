import { describe, expect, test } from 'vitest';
import { type Cancellation, Canceller, unlessCancelled } from './cancellation.ts';

interface Cancelling {
  readonly cancellation: Cancellation;
  abort(reason: unknown): void;
}

function ours(): Cancelling {
  const canceller = new Canceller();
  return { cancellation: canceller, abort: (reason) => canceller.abort(reason) };
}

function nodes(): Cancelling {
  const controller = new AbortController();
  return { cancellation: controller.signal, abort: (reason) => controller.abort(reason) };
}

describe.each([
  ['of ours', ours],
  ["as Node's own", nodes],
])('a cancellation %s', (_, create) => {
  test('says that it was called off, and why', () => {
    const { cancellation, abort } = create();
    expect([cancellation.aborted, cancellation.reason]).toEqual([false, undefined]);
    abort('why');
    expect([cancellation.aborted, cancellation.reason]).toEqual([true, 'why']);
  });

  test('tells everyone once, in their order, and keeps the first reason', () => {
    const { cancellation, abort } = create();
    const told: string[] = [];
    const both = () => told.push(`first, of ${String(cancellation.reason)}`);
    cancellation.addEventListener('abort', both, { once: true });
    cancellation.addEventListener('abort', both, { once: true });
    cancellation.addEventListener('abort', () => told.push('second'), { once: true });
    abort('why');
    abort('again');
    expect(told).toEqual(['first, of why', 'second']);
    expect(cancellation.reason).toBe('why');
  });

  test('tells nobody who left, or came too late', () => {
    const { cancellation, abort } = create();
    const told: string[] = [];
    const left = () => told.push('left');
    cancellation.addEventListener('abort', left);
    cancellation.removeEventListener('abort', left);
    abort('why');
    cancellation.addEventListener('abort', () => told.push('late'));
    expect(told).toEqual([]);
  });

  test('tells the others too when one of them throws', () => {
    const { cancellation, abort } = create();
    const told: string[] = [];
    const failed = new Error('failed');
    const isOwn = cancellation instanceof Canceller;
    if (isOwn) {
      cancellation.addEventListener('abort', () => {
        throw failed;
      });
    }
    cancellation.addEventListener('abort', () => told.push('second'));
    if (isOwn) expect(() => abort('why')).toThrow(failed);
    else abort('why');
    expect(told).toEqual(['second']);
  });

  test('does not tell who is asked to leave while others are told', () => {
    const { cancellation, abort } = create();
    const told: string[] = [];
    const second = () => told.push('second');
    cancellation.addEventListener('abort', () => cancellation.removeEventListener('abort', second));
    cancellation.addEventListener('abort', second);
    abort('why');
    expect(told).toEqual([]);
  });
});

describe('what is waited for unless it is called off', () => {
  test('comes as it comes, and leaves nobody who listens', async () => {
    const canceller = new Canceller();
    const listening = new Set<() => void>();
    const watched: Cancellation = {
      aborted: false,
      reason: undefined,
      addEventListener: (_, listener) => listening.add(listener),
      removeEventListener: (_, listener) => listening.delete(listener),
    };
    expect(await unlessCancelled(Promise.resolve('done'), canceller)).toBe('done');
    await expect(unlessCancelled(Promise.reject(new Error('broken')), watched)).rejects.toThrow('broken');
    expect(listening.size).toBe(0);
  });

  test('is not waited for any more once it is called off', async () => {
    const canceller = new Canceller();
    const never = new Promise<string>(() => undefined);
    const waiting = unlessCancelled(never, canceller);
    canceller.abort('why');
    expect(await waiting).toBeUndefined();
    expect(await unlessCancelled(never, canceller)).toBeUndefined();
  });

  test('fails nobody once it is called off', async () => {
    const canceller = new Canceller();
    canceller.abort('why');
    const { promise, reject } = Promise.withResolvers<string>();
    expect(await unlessCancelled(promise, canceller)).toBeUndefined();
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    reject(new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
});
