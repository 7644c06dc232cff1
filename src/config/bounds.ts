import { z } from 'zod';

/** What a process takes at most: docs/production.md has the table. */
export interface BoundsConfig {
  readonly maxBodyBytes: number;
  /** Of three kinds each: bodies of requests, whole answers that are read, and what clients don't take. */
  readonly maxHeldBytes: number;
  /** Under way at one time. */
  readonly maxRequests: number;
  readonly maxConnections: number;
  /** How long a client may send nothing of its request, or take nothing of its answer. */
  readonly clientStallMs: number;
}

const wholeNumber = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const mebibyte = 1024 * 1024;

/** Of the environment, each by itself. */
export const boundsVariables = {
  MAX_BODY_BYTES: wholeNumber(1024, 512 * mebibyte).default(32 * mebibyte),
  MAX_HELD_BYTES: wholeNumber(mebibyte, 64 * 1024 * mebibyte).optional(),
  MAX_REQUESTS: wholeNumber(1, 1_000_000).default(8_000),
  MAX_CONNECTIONS: wholeNumber(1, 1_000_000).default(10_000),
  CLIENT_STALL_SECONDS: wholeNumber(1, 300).default(60),
};

type Bounds = z.output<z.ZodObject<typeof boundsVariables>>;

const usualHeldBytes = 128 * mebibyte;
/** Fewer large bodies at one time would make one client's the only one. */
const leastBodies = 4;

export function boundsOf(variables: Bounds): BoundsConfig {
  const { MAX_BODY_BYTES: maxBodyBytes, MAX_HELD_BYTES: maxHeldBytes } = variables;
  return {
    maxBodyBytes,
    maxHeldBytes: maxHeldBytes ?? Math.max(usualHeldBytes, leastBodies * maxBodyBytes),
    maxRequests: variables.MAX_REQUESTS,
    maxConnections: variables.MAX_CONNECTIONS,
    clientStallMs: variables.CLIENT_STALL_SECONDS * 1000,
  };
}

/** What is wrong with the variables together, a line each. */
export function boundsProblems({ MAX_BODY_BYTES: body, MAX_HELD_BYTES: held }: Bounds): string[] {
  // A quarter of it is kept for small bodies.
  if (held === undefined || body * 2 <= held) return [];
  return ['MAX_HELD_BYTES: has to be twice MAX_BODY_BYTES at least, or the largest bodies are never taken'];
}
