import { migrateLedger, openPriceStore, startApp } from './app.ts';
import { ConfigError, readConfig } from './config.ts';
import { Fault } from './domain/errors.ts';
import { runPricesCommand } from './prices/import-command.ts';
import { runSimulator } from './simulator/run.ts';

const usage = `Usage:
  tollgate                       start the gateway
  tollgate migrate               bring the ledger's schema up to date, and nothing else
  tollgate sim                   start the simulated provider alone
  tollgate prices import FILE    import prices from LiteLLM's price map (see tollgate prices)
`;

const sameSignalMs = 1_000;

async function startGateway(): Promise<void> {
  const print = (text: string) => process.stdout.write(text);
  const app = await startApp({ config: readConfig(process.env), environment: process.env, print });
  let stoppingSinceMs: number | null = null;
  const stop = () => {
    if (stoppingSinceMs !== null) {
      // One Ctrl-C may come twice, from the terminal and from npm; a person's second one doesn't wait.
      if (performance.now() - stoppingSinceMs > sameSignalMs) process.exit(1);
      return;
    }
    stoppingSinceMs = performance.now();
    app.close().then(
      () => process.exit(0),
      (error) => fail(error),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

async function runPrices(args: readonly string[]): Promise<void> {
  // What was printed is written before the process ends, so it ends by itself.
  process.exitCode = await runPricesCommand({
    args,
    environment: process.env,
    print: (text) => process.stdout.write(text),
    printError: (text) => process.stderr.write(text),
    openStore: ({ dryRun }) => openPriceStore(readConfig(process.env), dryRun),
    nowMs: Date.now(),
  });
}

async function runMigrations(): Promise<void> {
  const version = await migrateLedger(readConfig(process.env));
  process.stdout.write(`The ledger's schema is up to date: ${version}\n`);
}

/** One line for what the person who starts it can mend; everything for what they can't. */
function fail(error: unknown): never {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof ConfigError)
    process.stderr.write(`Tollgate can't start with this environment:\n${error.message}\n`);
  else if (code === 'EADDRINUSE')
    process.stderr.write('The port is in use: stop what listens there, or set PORT.\n');
  else if (error instanceof Fault && error.cause === undefined) process.stderr.write(`${error.message}\n`);
  else if (code !== undefined && error instanceof Error && 'path' in error) {
    process.stderr.write(`The data directory can't be used: ${error.message}\n`);
  } else console.error(error);
  process.exit(1);
}

const [command, ...rest] = process.argv.slice(2);
try {
  if (command === undefined) await startGateway();
  else if (command === 'migrate' && rest.length === 0) await runMigrations();
  else if (command === 'sim' && rest.length === 0) await runSimulator(process.env);
  else if (command === 'prices') await runPrices(rest);
  else {
    process.stderr.write(usage);
    process.exit(2);
  }
} catch (error) {
  fail(error);
}
