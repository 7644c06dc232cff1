import { postgresPrograms, prometheusPrograms, providePrograms, redisPrograms } from './find-programs.ts';

/**
 * Runs once, before any worker: what is missing is installed here or not at all, and the workers get the
 * folders by their environment.
 */
export default async function findServices(): Promise<void> {
  await providePrograms([postgresPrograms, redisPrograms, prometheusPrograms], { tell: console.info });
  // The set-up that follows makes the shared Postgres only under this.
  process.env.TEST_SERVICES = '1';
}
