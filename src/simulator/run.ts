import { z } from 'zod';
import { type Simulator, startSimulator } from './simulator.ts';

const environment = z.object({
  SIM_PORT: z.coerce.number().int().min(0).max(65_535).default(8100),
  HOST: z.string().min(1).default('127.0.0.1'),
  SIM_SEED: z.string().default('1'),
});

/** How long open answers may go on after a signal. */
const drainMs = 10_000;

/**
 * Runs the simulator as a process of its own until SIGTERM or SIGINT; a second signal ends it at once.
 * @throws when a variable is malformed or the port is taken
 */
export async function runSimulator(env: Readonly<Record<string, string | undefined>>): Promise<Simulator> {
  const parsed = environment.safeParse(env);
  if (!parsed.success) throw new Error(`The environment is not valid.\n${z.prettifyError(parsed.error)}`);
  const { SIM_PORT: port, HOST: host, SIM_SEED: seed } = parsed.data;
  const simulator = await startSimulator({ port, host, seed, log: (line) => console.error(line) });
  console.log(`Simulated provider: ${simulator.url}`);
  const stop = () => {
    // Without handlers, the next signal ends the process as the system would.
    process.off('SIGTERM', stop).off('SIGINT', stop);
    void simulator.close(drainMs);
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
  return simulator;
}
