import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { Fault } from '../domain/errors.ts';
import { createAdminPriceStore, GatewayError } from './admin-price-store.ts';
import { builtInPrice } from './genai-prices.ts';
import { NoPriceMapError, readLiteLlmMap } from './litellm.ts';
import { source } from './litellm-entry.ts';
import { diffPrices } from './price-diff.ts';
import { type ImportResult, reportJson, reportText } from './price-report.ts';
import type { PriceStore } from './price-store.ts';
import { providerName } from './provider-names.ts';

export interface PricesCommand {
  /** What stands behind "tollgate prices". */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
  /** Opens the ledger in the data directory, which no gateway may have open; a dry run changes nothing in it. */
  readonly openStore: (options: { readonly dryRun: boolean }) => Promise<PriceStore>;
  readonly nowMs: number;
}

/** As shells and schedulers read them. */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const;
type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const pricesUsage = `Usage: tollgate prices import FILE [options]

Imports prices from LiteLLM's model_prices_and_context_window.json into the price book.

  --dry-run         print what would change, and change nothing
  --provider NAME   only the prices of this provider; may be repeated
  --url URL         through the gateway that runs there, with ADMIN_TOKEN set
  --verbose         list every added and every skipped entry
  --json            print the report as JSON
`;

interface ImportOptions {
  readonly file: string;
  readonly dryRun: boolean;
  readonly verbose: boolean;
  readonly json: boolean;
  /** The price book's names; null: all. */
  readonly providers: ReadonlySet<string> | null;
  readonly url: string | null;
}

/** What the person who typed it can mend, in words. */
class CommandError extends Error {
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Runs `tollgate prices …`; what can go wrong by itself is said in words. */
export async function runPricesCommand(command: PricesCommand): Promise<ExitCode> {
  try {
    await importPrices(readOptions(command.args), command);
    return exitCodes.done;
  } catch (error) {
    if (error instanceof CommandError) {
      command.printError(`${error.message}\n`);
      return error.exitCode;
    }
    if (error instanceof GatewayError || (error instanceof Fault && error.cause === undefined)) {
      command.printError(`${error.message}\n`);
      return exitCodes.failed;
    }
    throw error;
  }
}

function readOptions(args: readonly string[]): ImportOptions {
  const { values, positionals } = parse(args);
  const [action, file, ...more] = positionals;
  if (action !== 'import' || file === undefined || more.length > 0) {
    throw new CommandError(pricesUsage, exitCodes.usage);
  }
  const { provider: providers = [], url } = values;
  if (url !== undefined && !/^https?:\/\//.test(url)) {
    throw new CommandError(`--url takes an http or https URL, not "${url}".`, exitCodes.usage);
  }
  return {
    file,
    dryRun: values['dry-run'] ?? false,
    verbose: values.verbose ?? false,
    json: values.json ?? false,
    providers: providers.length === 0 ? null : new Set(providers.map(providerName)),
    url: url ?? null,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        'dry-run': { type: 'boolean' },
        provider: { type: 'string', multiple: true },
        url: { type: 'string' },
        verbose: { type: 'boolean' },
        json: { type: 'boolean' },
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`${reason}\n\n${pricesUsage}`, exitCodes.usage);
  }
}

async function importPrices(options: ImportOptions, command: PricesCommand): Promise<void> {
  const { file, dryRun, verbose, json } = options;
  const map = await readMap(options);
  const store = await openStore(options, command);
  try {
    const diff = diffPrices(await store.list(), map.prices, (provider, model) =>
      builtInPrice(provider, model, command.nowMs),
    );
    const written = [...diff.added, ...diff.changed].map(({ price }) => price);
    if (!dryRun && written.length > 0) await store.put(written, source);
    const result: ImportResult = { file: basename(file), dryRun, map, diff };
    command.print(json ? reportJson(result) : reportText(result, verbose));
  } finally {
    await store.close();
  }
}

async function readMap({ file, providers }: ImportOptions) {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new CommandError(`${file} can't be read: ${error.message}`, exitCodes.failed);
  });
  try {
    const map = readLiteLlmMap(text, providers);
    const unknown = [...(providers ?? [])].filter((name) => !map.providers.includes(name));
    if (unknown.length === 0) return map;
    const message = `${file} has no provider "${unknown.join('", "')}"; it has: ${map.providers.join(', ')}.`;
    throw new CommandError(message, exitCodes.usage);
  } catch (error) {
    if (error instanceof NoPriceMapError) {
      throw new CommandError(`${file} can't be imported. ${error.message}`, exitCodes.failed);
    }
    throw error;
  }
}

async function openStore({ url, dryRun }: ImportOptions, command: PricesCommand): Promise<PriceStore> {
  if (url !== null) {
    const adminToken = command.environment.ADMIN_TOKEN;
    if (adminToken === undefined || adminToken === '') {
      throw new CommandError(
        '--url needs ADMIN_TOKEN: set it to an admin token of that gateway.',
        exitCodes.usage,
      );
    }
    return createAdminPriceStore({ url, adminToken });
  }
  return await command.openStore({ dryRun }).catch((error: unknown) => {
    if (!(error instanceof Fault) || error.code !== 'LEDGER_UNAVAILABLE') throw error;
    const port = command.environment.PORT || '8000';
    const message =
      `${error.message}\nIf that is the running gateway, import through it: ` +
      `ADMIN_TOKEN=… tollgate prices import FILE --url http://127.0.0.1:${port}`;
    throw new CommandError(message, exitCodes.failed);
  });
}
