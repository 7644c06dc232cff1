import { type Gateway, type Surroundings, startGateway } from './gateway.ts';

/** The gateways of a run: each dies and is started again, as another process in its place. */
export class Fleet {
  readonly #around: Surroundings;
  readonly #places: (Gateway | null)[];
  readonly #lives: number[];
  crashes = 0;

  constructor(around: Surroundings, size: number) {
    this.#around = around;
    this.#places = Array.from({ length: size }, () => null);
    this.#lives = Array.from({ length: size }, () => 0);
    this.startAll();
  }

  get living(): readonly Gateway[] {
    return this.#places.filter((gateway) => gateway !== null).filter(({ process }) => process.isAlive);
  }

  startAll(): void {
    for (const [place, gateway] of this.#places.entries())
      if (gateway === null || !gateway.process.isAlive) this.#start(place);
  }

  /** At once, or between two of the things that it does next; another takes its place after a while. */
  kill(): void {
    const { world } = this.#around;
    const { chance } = world;
    const place = chance.whole(0, this.#places.length - 1);
    const gateway = this.#places[place];
    if (gateway === null || gateway === undefined || !gateway.process.isAlive) return;
    this.crashes++;
    if (chance.happens(0.5)) gateway.process.die('at once');
    else gateway.process.dieAfter(chance.whole(0, 5));
    const backInMs = chance.pick([10, 100, 1_000, 5_000]);
    world.after(backInMs, `place ${place} is started`, () => {
      gateway.process.die('at last');
      if (this.#places[place] === gateway) this.#start(place);
    });
  }

  #start(place: number): void {
    const life = (this.#lives[place] ?? 0) + 1;
    this.#lives[place] = life;
    this.#places[place] = startGateway(`n${place}.${life}`, this.#around);
    this.#around.world.note(`n${place}.${life} starts`);
  }
}
