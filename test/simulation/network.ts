import type { Figures } from './figures.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** What goes wrong in a run, and how often: probabilities per message. Every run has its own weather. */
export interface Weather {
  readonly lostRequest: number;
  readonly lostReply: number;
  /** Executed a second time, a little later. */
  readonly twice: number;
  /** Seconds late: after its caller has given up. */
  readonly late: number;
  readonly slow: number;
}

/** Who is called. */
export interface Service {
  readonly name: string;
  readonly isUp: boolean;
  /** Of its connections: those of an older one are broken. */
  readonly connection: number;
  /** Whether a stream's checkpoint waits for such a call. */
  delays(label: string): boolean;
  /** How long a caller waits for an answer. */
  timeoutMs(): number;
  /** What the caller gets where nothing came back. */
  lost(): Error;
  /** What the caller gets where it could not be reached at all. */
  refused(): Error;
}

/** The way of calls to services: each message may be delayed, reordered, lost, late or repeated. */
export class Network {
  readonly #world: World;
  readonly #blocked = new Map<string, number>();
  weather: Weather;
  readonly figures: Figures;

  constructor(world: World, weather: Weather, figures: Figures) {
    this.figures = figures;
    this.#world = world;
    this.weather = weather;
  }

  /** Nothing passes between a process and a service for so long. */
  block(process: Process, service: Service, ms: number): void {
    this.#blocked.set(linkOf(process, service), this.#world.nowMs + ms);
  }

  unblockAll(): void {
    this.#blocked.clear();
  }

  /** @param execute what the service does when the request arrives, in one go */
  call<T>(process: Process, service: Service, label: string, execute: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (!process.acts()) return promise;
    const over = service.delays(label) ? process.troubles.begin(this.#world.nowMs) : () => undefined;
    const answered = {
      resolve: (value: T) => {
        over(this.#world.nowMs, false);
        resolve(value);
      },
      reject: (error: unknown) => {
        over(this.#world.nowMs, true);
        reject(error);
      },
    };
    new Call(this.#world, this, { process, service, label, execute, ...answered }).send();
    return promise;
  }

  isBlocked(process: Process, service: Service): boolean {
    return (this.#blocked.get(linkOf(process, service)) ?? 0) > this.#world.nowMs;
  }
}

function linkOf(process: Process, service: Service): string {
  return `${process.name} ${service.name}`;
}

interface CallOptions<T> {
  readonly process: Process;
  readonly service: Service;
  readonly label: string;
  readonly execute: () => Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

type Reply<T> = { readonly value: T } | { readonly error: unknown };

class Call<T> {
  readonly #world: World;
  readonly #network: Network;
  readonly #options: CallOptions<T>;
  readonly #connection: number;
  #isAnswered = false;
  #forgetTimeout: () => void = () => {};

  constructor(world: World, network: Network, options: CallOptions<T>) {
    this.#world = world;
    this.#network = network;
    this.#options = options;
    this.#connection = options.service.connection;
  }

  send(): void {
    const { process, service, label } = this.#options;
    const { chance } = this.#world;
    const { weather, figures } = this.#network;
    figures.add('messages');
    if (!service.isUp) {
      process.deliver(chance.delayMs(0.5), `${service.name} refuses ${label}`, () =>
        this.#answer({ error: service.refused() }),
      );
      return;
    }
    this.#forgetTimeout = process.deliver(service.timeoutMs(), `${service.name} timeout ${label}`, () =>
      this.#answer({ error: service.lost() }),
    );
    if (this.#network.isBlocked(process, service)) {
      // What TCP still has may arrive when the way is open again; whoever sent it has given up.
      if (chance.happens(weather.late)) this.#arriveAfter(chance.between(1_000, 15_000));
      return;
    }
    if (chance.happens(weather.lostRequest)) {
      figures.add('requests lost');
      return;
    }
    const delayMs = chance.happens(weather.late)
      ? chance.between(1_000, 12_000)
      : chance.delayMs(chance.happens(weather.slow) ? 300 : 0.7);
    this.#arriveAfter(delayMs);
    if (chance.happens(weather.twice)) {
      figures.add('requests repeated');
      this.#arriveAfter(delayMs + chance.delayMs(chance.pick([1, 50, 1_500])));
    }
  }

  #arriveAfter(delayMs: number): void {
    const { service, label, process } = this.#options;
    this.#world.after(delayMs, `${service.name} <- ${process.name} ${label}`, async () => {
      if (!service.isUp || service.connection !== this.#connection) return this.#break();
      const reply = await this.#execute();
      this.#reply(reply);
    });
  }

  async #execute(): Promise<Reply<T>> {
    try {
      return { value: await this.#options.execute() };
    } catch (error) {
      return { error };
    }
  }

  #reply(reply: Reply<T>): void {
    const { process, service, label } = this.#options;
    const { chance } = this.#world;
    const { weather, figures } = this.#network;
    if (this.#network.isBlocked(process, service) || chance.happens(weather.lostReply)) {
      figures.add('replies lost');
      return;
    }
    const delayMs = chance.delayMs(chance.happens(weather.slow) ? 300 : 0.7);
    process.deliver(delayMs, `-> ${service.name} ${label}`, () => {
      if (service.connection === this.#connection) this.#answer(reply);
      else this.#answer({ error: service.lost() });
    });
  }

  /** The connection broke while the request was on its way. */
  #break(): void {
    const { process, service, label } = this.#options;
    process.deliver(0.1, `${service.name} breaks ${label}`, () => this.#answer({ error: service.lost() }));
  }

  #answer(reply: Reply<T>): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#forgetTimeout();
    if ('value' in reply) this.#options.resolve(reply.value);
    else this.#options.reject(reply.error);
  }
}
