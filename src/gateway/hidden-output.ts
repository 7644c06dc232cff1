import { LRUCache } from 'lru-cache';
import type { AnswerReading } from '../dialects/dialect.ts';
import { entriesUpTo } from '../domain/entries-up-to.ts';
import { outputTokens } from '../domain/usage.ts';
import { stepTokens } from './hold-size.ts';

/** Families that are known to reason without showing all of it. */
const known = /(^|\/)(o[1-9]|gpt-[5-9]|gemini-(2\.5|[3-9])|grok-(3-mini|[4-9]))/i;

/** So many models are remembered; those that were seen longest ago are forgotten. */
const maxRemembered = 4_000;

/** Texts hardly have more tokens than one for each two bytes of them. */
const leastBytesPerToken = 2;

/**
 * Which models generate more than they show: those that are known for it, and those of whose answers the
 * final usage said more, by a step at least, than what was visible can be.
 */
export class HiddenOutput {
  readonly #seen = new LRUCache<string, true>(entriesUpTo(maxRemembered));

  /** @param upstreamModel the upstream's own name of it */
  mayHide(upstreamModel: string): boolean {
    return known.test(upstreamModel) || this.#seen.has(upstreamModel);
  }

  /** Learns from a whole answer that upstream has counted. */
  learn(upstreamModel: string, { usage, generated }: AnswerReading): void {
    if (usage === null || this.#seen.has(upstreamModel)) return;
    const counted = outputTokens(usage) - generated.overhead - stepTokens;
    if (counted <= 0) return;
    const bytes = generated.texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    if (counted > bytes / leastBytesPerToken) this.#seen.set(upstreamModel, true);
  }
}
