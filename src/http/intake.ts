import { type ByteBudget, HeldBytes } from '../domain/byte-budget.ts';
import { type Refusal, refusal } from '../domain/errors.ts';

export interface IntakeOptions {
  /** How many requests may be under way at one time, those whose bodies are still coming included. */
  readonly maxRequests: number;
  /** What goes on behind requests that have their answer counts with them. */
  readonly inFlight: () => number;
  /** Of the bodies of all requests that are under way. */
  readonly bodies: ByteBudget;
}

/** Up to here a body is small: a part of the budget is kept for those, whatever the large ones take. */
const smallBodyBytes = 64 * 1024;
const shareForSmall = 4;

const retryAfterSeconds = 1;
const tooMany = refusal(
  'OVERLOADED',
  'This gateway serves as many requests as it can at the moment. Nothing was charged; try again.',
  { retryAfterSeconds },
);
export const noRoom = refusal(
  'OVERLOADED',
  'This gateway holds as many bytes of requests as it can at the moment. Nothing was charged; try again.',
  { retryAfterSeconds },
);

/** Who gets in. What a request then holds is known, and together they hold no more than a process has. */
export class Intake {
  readonly #options: IntakeOptions;
  #places = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** @param declaredBytes what the client says that it sends; null where it doesn't say */
  enter(declaredBytes: number | null): Place | Refusal {
    const { maxRequests, inFlight, bodies } = this.#options;
    if (Math.max(this.#places, inFlight()) >= maxRequests) return tooMany;
    // It is told before it sends for nothing. A claim takes no room: whoever doesn't keep it would take it from others.
    if (bodies.held + (declaredBytes ?? 0) > roomFor(declaredBytes ?? 0, bodies)) return noRoom;
    this.#places++;
    return new Place(bodies, () => {
      this.#places--;
    });
  }
}

/** Of a request, from its headers until its answer and everything behind it is done. */
export class Place {
  readonly kind = 'place';
  readonly #held: HeldBytes;
  readonly #bodies: ByteBudget;
  readonly #onLeave: () => void;
  #hasLeft = false;

  constructor(bodies: ByteBudget, onLeave: () => void) {
    this.#held = new HeldBytes(bodies);
    this.#bodies = bodies;
    this.#onLeave = onLeave;
  }

  /** Whether so many more bytes of its body may be held. */
  hold(bytes: number): boolean {
    const spare = this.#bodies.limit - roomFor(this.#held.bytes + bytes, this.#bodies);
    return !this.#hasLeft && this.#held.take(bytes, spare);
  }

  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#held.letGo();
    this.#onLeave();
  }
}

function roomFor(bodyBytes: number, { limit }: ByteBudget): number {
  return bodyBytes <= smallBodyBytes ? limit : limit - Math.floor(limit / shareForSmall);
}
