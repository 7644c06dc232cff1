import type { AdminDependencies } from '../admin/admin-call.ts';
import type { CatalogStore } from '../catalog/catalog.ts';
import { hashSecret, newSecret } from '../domain/ids.ts';
import { type Demo, setUpDemo } from './demo.ts';
import { type ProviderSetting, type ServedProvider, setUpProvider } from './providers.ts';

export interface SetUpOptions {
  readonly admin: AdminDependencies;
  /** Whether the environment has an admin token: none is made then. */
  readonly hasAdminToken: boolean;
  readonly providers: readonly ProviderSetting[];
  /** Of the simulated provider; null where no demo is wanted. */
  readonly simulatorOrigin: string | null;
}

/** What the start has made; secrets are null where they were made and shown before. */
export interface SetUp {
  readonly adminToken: string | null;
  readonly providers: readonly ServedProvider[];
  readonly demo: Demo | null;
}

/**
 * What a start does once, however many processes serve: another machine may do the same on the same ledger
 * at the same moment.
 */
export async function setUpOnce(options: SetUpOptions): Promise<SetUp> {
  const { admin, hasAdminToken, simulatorOrigin } = options;
  const adminToken = hasAdminToken ? null : await makeAdminToken(admin.catalog);
  const providers: ServedProvider[] = [];
  for (const provider of options.providers) {
    providers.push(await setUpProvider(admin.catalog, provider, admin.clock.now()));
  }
  const demo = simulatorOrigin === null ? null : await setUpDemo(admin, simulatorOrigin);
  return { adminToken, providers, demo };
}

async function makeAdminToken(catalog: CatalogStore): Promise<string | null> {
  const token = newSecret('tga');
  return (await catalog.createFirstAdminToken('first start', hashSecret(token))) ? token : null;
}
