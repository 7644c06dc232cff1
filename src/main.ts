import { openAuditedStores } from './app/audit.ts';
import { openPriceStore } from './app/price-store.ts';
import { type App, migrateLedger, startApp, startSupervisor, startWorker } from './app.ts';
import { auditExitCodes, runAuditCommand } from './audit/audit-command.ts';
import { ConfigError, readConfig } from './config.ts';
import { Fault } from './domain/errors.ts';
import { runPricesCommand } from './prices/import-command.ts';
import { listenToSupervisor } from './workers/cluster-worker.ts';

const usage = `Usage:
  tollgate                       start the gateway
  tollgate migrate               bring the ledger's schema up to date, and nothing else
  tollgate audit [--tenant ID]   recompute the ledger, and compare hot state with it
  tollgate sim                   start the simulated provider alone
  tollgate prices import FILE    import prices from LiteLLM's price map (see tollgate prices)
`;

const sameSignalMs = 1_000;

async function startGateway(): Promise<void> {
  const supervisor = listenToSupervisor();
  const config = readConfig(process.env);
  const options = { config, environment: process.env };
  if (supervisor !== null) {
    // Until it serves there is nothing to finish, and without its supervisor it would never listen.
    let end: () => void = () => process.exit(0);
    supervisor.drain.then(() => end());
    end = endOnSignals(await startWorker(options, supervisor));
  } else if (config.workers > 1) {
    const app = await startSupervisor(options);
    endOnSignals(app, () => app.kill());
    process.stdout.write(app.welcome);
    app.failed.then((fault) => app.close().finally(() => fail(fault)));
  } else {
    const app = await startApp(options);
    endOnSignals(app);
    // Not before: whoever has read that it is ready may end it at once.
    process.stdout.write(app.welcome);
  }
}

/** Returns what ends the app as the first signal does; `cut` ends at once what isn't this process. */
function endOnSignals(app: App, cut: () => void = () => undefined): () => void {
  let stoppingSinceMs: number | null = null;
  const end = () => {
    if (stoppingSinceMs !== null) return;
    stoppingSinceMs = performance.now();
    app.close().then(
      () => process.exit(0),
      (error) => fail(error),
    );
  };
  const stop = () => {
    // One Ctrl-C may come twice, from the terminal and from npm; a person's second one doesn't wait.
    if (stoppingSinceMs !== null && performance.now() - stoppingSinceMs > sameSignalMs) {
      cut();
      process.exit(1);
    }
    end();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  return end;
}

async function runPrices(args: readonly string[]): Promise<void> {
  const printError = (text: string) => process.stderr.write(text);
  // What was printed is written before the process ends, so it ends by itself.
  process.exitCode = await runPricesCommand({
    args,
    environment: process.env,
    print: (text) => process.stdout.write(text),
    printError,
    openStore: ({ dryRun }) => openPriceStore({ config: readConfig(process.env), dryRun, warn: printError }),
    nowMs: Date.now(),
  });
}

async function runAudit(args: readonly string[]): Promise<void> {
  const printError = (text: string) => process.stderr.write(text);
  process.exitCode = await runAuditCommand({
    args,
    print: (text) => process.stdout.write(text),
    printError,
    open: () => openAuditedStores({ config: readConfig(process.env), warn: printError }),
  });
}

/** Not loaded by a gateway without a demo: it has a vocabulary of 200,000 tokens. */
async function runSimulatorAlone(): Promise<void> {
  const { runSimulator } = await import('./simulator/run.ts');
  await runSimulator(process.env);
}

async function runMigrations(): Promise<void> {
  const version = await migrateLedger(readConfig(process.env));
  process.stdout.write(`The ledger's schema is up to date: ${version}\n`);
}

/** One line for what the person who starts it can mend; everything for what they can't. */
function fail(error: unknown, exitCode = 1): never {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof ConfigError)
    process.stderr.write(`Tollgate can't start with this environment:\n${error.message}\n`);
  else if (code === 'EADDRINUSE')
    process.stderr.write('The port is in use: stop what listens there, or set PORT.\n');
  else if (error instanceof Fault && error.cause === undefined) process.stderr.write(`${error.message}\n`);
  else if (code !== undefined && error instanceof Error && 'path' in error) {
    process.stderr.write(`The data directory can't be used: ${error.message}\n`);
  } else console.error(error);
  process.exit(exitCode);
}

const [command, ...rest] = process.argv.slice(2);
try {
  if (command === undefined) await startGateway();
  else if (command === 'migrate' && rest.length === 0) await runMigrations();
  else if (command === 'sim' && rest.length === 0) await runSimulatorAlone();
  else if (command === 'prices') await runPrices(rest);
  else if (command === 'audit') await runAudit(rest).catch((error) => fail(error, auditExitCodes.notAudited));
  else {
    process.stderr.write(usage);
    process.exit(2);
  }
} catch (error) {
  fail(error);
}
