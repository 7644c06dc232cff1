import type { AnswerReading } from '../dialects/dialect.ts';
import type { Usage } from '../domain/usage.ts';

function isSound(usage: Usage): boolean {
  return Object.values(usage).every(
    (count) => count === undefined || (Number.isSafeInteger(count) && count >= 0),
  );
}

/**
 * A reading whose counts can all be priced. A dialect that lets through what is no count has a fault; the
 * request is then counted by us, since a charge that throws would leave its row open and its money held.
 * @param onUnsound told when something had to be left out
 */
export function soundReading<R extends AnswerReading>(reading: R, onUnsound: () => void): R {
  const { usage, units, otherModels } = reading;
  const isUsageSound = usage === null || isSound(usage);
  const sound = otherModels.filter((other) => isSound(other.usage));
  if (isUsageSound && isSound(units) && sound.length === otherModels.length) return reading;
  onUnsound();
  return {
    ...reading,
    usage: isUsageSound ? usage : null,
    units: isSound(units) ? units : {},
    otherModels: sound,
  };
}
