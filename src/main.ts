import { startApp } from './app.ts';
import { ConfigError, readConfig } from './config.ts';
import { Fault } from './domain/errors.ts';
import { runSimulator } from './simulator/run.ts';

const usage = `Usage:
  tollgate        start the gateway
  tollgate sim    start the simulated provider alone
`;

async function startGateway(): Promise<void> {
  const print = (text: string) => process.stdout.write(text);
  const app = await startApp({ config: readConfig(process.env), environment: process.env, print });
  let stopping = false;
  const stop = () => {
    // The second signal doesn't wait.
    if (stopping) process.exit(1);
    stopping = true;
    app.close().then(
      () => process.exit(0),
      (error) => fail(error),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** One line for what the person who starts it can mend; everything for what they can't. */
function fail(error: unknown): never {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof ConfigError)
    process.stderr.write(`Tollgate can't start with this environment:\n${error.message}\n`);
  else if (code === 'EADDRINUSE')
    process.stderr.write('The port is in use: stop what listens there, or set PORT.\n');
  else if (error instanceof Fault && error.cause === undefined) process.stderr.write(`${error.message}\n`);
  else console.error(error);
  process.exit(1);
}

const [command, ...rest] = process.argv.slice(2);
try {
  if (command === undefined) await startGateway();
  else if (command === 'sim' && rest.length === 0) await runSimulator(process.env);
  else {
    process.stderr.write(usage);
    process.exit(2);
  }
} catch (error) {
  fail(error);
}
