import { type Clock, sleep, type Timers, within } from '../domain/clock.ts';
import type { InstanceId } from '../domain/ids.ts';
import type { GatewayInstance, Instances, Lease } from '../ledger/instances.ts';
import { toldOnce } from './told-once.ts';

export interface HeartbeatOptions {
  readonly instances: Pick<Instances, 'beat' | 'end'>;
  /** Who this process is, but for the id of its instance. */
  readonly process: Omit<GatewayInstance, 'id'>;
  readonly newId: () => string;
  /** Whether nobody else can be at work on this ledger: then nobody settles what this process has open. */
  readonly isAlone: boolean;
  readonly clock: Clock & Timers;
  readonly onFault: (what: string, error: unknown) => void;
}

/** This process' lease, kept by its heartbeats. */
export interface Heartbeat extends Lease {
  /**
   * Beats once more.
   * @throws Fault LEDGER_UNAVAILABLE when the ledger can't take it
   */
  beat(): Promise<void>;
  /** When the ledger last took one, by the clock of the wall; null before the first. */
  readonly takenAtMs: number | null;
  /** Ends the instance: what it has open is others' to settle from now on. */
  close(): Promise<void>;
}

const beatEveryMs = 5_000;

/**
 * From before a heartbeat is sent. Others take a process for dead that they saw not beat for `goneAfterMs`, which is
 * longer: so a lease has always run out before anybody settles what it covers.
 */
export const leaseMs = 25_000;
export const goneAfterMs = 30_000;

const retryPauseMs = 250;

/** @throws Fault LEDGER_UNAVAILABLE when the first one can't be written */
export async function startHeartbeat(options: HeartbeatOptions): Promise<Heartbeat> {
  const heartbeat = new BeatingHeart(options);
  await heartbeat.beat();
  heartbeat.goOn();
  return heartbeat;
}

class BeatingHeart implements Heartbeat {
  readonly #options: HeartbeatOptions;
  #owner: InstanceId;
  #validUntilMs = Number.NEGATIVE_INFINITY;
  #beating: Promise<void> | null = null;
  #forget: () => void = () => {};
  #isClosed = false;
  takenAtMs: number | null = null;
  readonly #told: (beat: Promise<void>) => Promise<void>;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#owner = options.newId() as InstanceId;
    this.#told = toldOnce('saying that this process lives', options.onFault);
  }

  get owner(): InstanceId {
    return this.#owner;
  }

  isValid(owner: InstanceId): boolean {
    return owner === this.#owner && this.#options.clock.monotonic() < this.#validUntilMs;
  }

  async renewed(owner: InstanceId, withinMs: number): Promise<boolean> {
    const { clock } = this.#options;
    const untilMs = clock.monotonic() + withinMs;
    while (owner === this.#owner && !this.isValid(owner)) {
      const leftMs = untilMs - clock.monotonic();
      if (leftMs <= 0) return false;
      const beaten = this.beat().then(
        () => true,
        () => false,
      );
      if ((await within(clock, beaten, leftMs)) === false) await sleep(clock, Math.min(retryPauseMs, leftMs));
    }
    return this.isValid(owner);
  }

  /** One is under way at most: whoever asks meanwhile shares it. */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = null;
    });
    return this.#beating;
  }

  /** From now on by itself. */
  goOn(): void {
    if (this.#isClosed) return;
    this.#forget = this.#options.clock.after(beatEveryMs, () => {
      this.#told(this.beat()).finally(() => this.goOn());
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#forget();
    this.#validUntilMs = Number.NEGATIVE_INFINITY;
    await this.#options.instances.end(this.#owner, null);
  }

  async #beat(): Promise<void> {
    const { instances, process, newId, isAlone, clock, onFault } = this.#options;
    for (;;) {
      const sentAtMs = clock.monotonic();
      const answer = await instances.beat({ id: this.#owner, ...process });
      if (this.#isClosed) return;
      if (answer === 'alive') {
        this.takenAtMs = clock.now();
        this.#validUntilMs = isAlone ? Number.POSITIVE_INFINITY : sentAtMs + leaseMs;
        return;
      }
      // Somebody took us for dead: what was open is settled, or will be, and nothing more of it may be delivered.
      onFault('keeping the lease', new Error(`instance ${this.#owner} was ended by another process`));
      this.#validUntilMs = Number.NEGATIVE_INFINITY;
      this.#owner = newId() as InstanceId;
    }
  }
}
