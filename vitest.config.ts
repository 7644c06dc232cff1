import { configDefaults, defineConfig } from 'vitest/config';

/**
 * Tests that need a Postgres or a Redis of their own: `npm run test:services` starts both. They join
 * `npm test` when the gateway runs on these engines from end to end.
 */
const withServices = process.env.TEST_SERVICES === '1';
const needServices = [
  'src/hot-state/redis/*.test.ts',
  'src/ledger/drivers/postgres.test.ts',
  'src/ledger/migrations/migrations.test.ts',
  'src/ledger/several-processes.test.ts',
  'test/postgres.test.ts',
  'test/amounts.test.ts',
];

export default defineConfig({
  test: {
    include: withServices ? needServices : ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: withServices ? configDefaults.exclude : [...configDefaults.exclude, ...needServices],
    globalSetup: ['test/support/template.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
