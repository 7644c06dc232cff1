import type { Directives } from './directives.ts';
import type { Packet } from './faults.ts';
import type { Outbound } from './outbound.ts';

/** So many events are written before others get their turn. */
const eventsPerTurn = 32;

type Line = Pick<Outbound, 'gone' | 'send' | 'sleepUntil' | 'turn'>;

/**
 * Writes one packet after the other, at the speed that was asked for. Each packet's time follows
 * from the tokens before it, so that late timers don't add up.
 */
export async function pour(
  outbound: Line,
  packets: Iterable<Packet>,
  directives: Pick<Directives, 'tokens_per_second' | 'fault'>,
): Promise<void> {
  const { tokens_per_second: speed, fault } = directives;
  // Split bytes are to arrive apart, and what is written in one turn leaves together.
  const perTurn = fault.layout.has('split_bytes') ? 1 : eventsPerTurn;
  const start = performance.now();
  let tokens = 0;
  let written = 0;
  for (const packet of packets) {
    if (speed > 0) await outbound.sleepUntil(start + (1000 * tokens) / speed);
    if (written % perTurn === perTurn - 1) await outbound.turn();
    if (outbound.gone) return;
    await outbound.send(packet);
    tokens += packet.tokens;
    written += 1;
  }
}
