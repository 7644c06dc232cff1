// DESIGN.md section 11: domain ← interfaces ← gateway, admin, jobs ← http ← app ← main.
const interfaces =
  '^src/(catalog/catalog|ledger/(ledger|instances|upkeep)|hot-state/hot-state|dialects/dialect|upstream/upstream|tokenizer/tokenizer|observability/(observer|tracer|health-report)|outbox/(outbox|signature))\\.ts$';
const test = '\\.(test|contract)\\.ts$';

const only = (name, from, to) => ({
  name,
  severity: 'error',
  from: { path: from, pathNot: test },
  to: { path: '^src/', pathNot: to },
});

export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependencies-at-run-time',
      severity: 'error',
      from: { path: '^src/', pathNot: test },
      to: { dependencyTypes: ['npm-dev'] },
    },
    only('domain-imports-domain', '^src/domain/', '^src/domain/'),
    only('interfaces-import-domain', interfaces, [interfaces, '^src/domain/']),
    only('dialects-import-interfaces', '^src/dialects/', ['^src/(domain|dialects)/', interfaces]),
    only('hot-state-imports-interfaces', '^src/hot-state/', ['^src/(domain|hot-state)/', interfaces]),
    only('ledger-imports-interfaces', '^src/ledger/', ['^src/(domain|ledger|threads)/', interfaces]),
    only('catalog-imports-the-schema', '^src/catalog/', [
      '^src/(domain|catalog)/',
      '^src/ledger/schema\\.ts$',
      interfaces,
    ]),
    only('upstream-imports-interfaces', '^src/upstream/', ['^src/(domain|upstream)/', interfaces]),
    only('tokenizer-imports-itself', '^src/tokenizer/', ['^src/(domain|tokenizer|threads)/']),
    only('token-factors-import-the-schema', '^src/token-factors/', [
      '^src/(domain|tokenizer|token-factors)/',
      '^src/ledger/schema\\.ts$',
    ]),
    only('outbox-imports-the-schema', '^src/outbox/', [
      '^src/(domain|outbox)/',
      '^src/ledger/schema\\.ts$',
      interfaces,
    ]),
    only('audit-imports-the-schema', '^src/audit/', [
      '^src/(domain|audit)/',
      '^src/ledger/schema\\.ts$',
      interfaces,
    ]),
    only('simulator-imports-itself', '^src/simulator/', ['^src/simulator/']),
    only('observability-imports-interfaces', '^src/observability/', [
      '^src/(domain|observability)/',
      interfaces,
    ]),
    only('gateway-imports-interfaces', '^src/gateway/', ['^src/(domain|gateway)/', interfaces]),
    only('admin-imports-interfaces', '^src/admin/', ['^src/(domain|admin)/', interfaces]),
    only('jobs-import-interfaces', '^src/jobs/', ['^src/(domain|jobs)/', interfaces]),
    // The price book's importer goes through the admin plane, and its built-in prices tell what to serve first.
    only('prices-import-admin', '^src/prices/', ['^src/(domain|admin|prices)/', interfaces]),
    only('start-imports-admin', '^src/start/', [
      '^src/(domain|admin|start)/',
      '^src/prices/genai-prices\\.ts$',
      interfaces,
    ]),
    only('threads-import-nothing', '^src/threads/', ['^src/threads/']),
    only('workers-import-domain', '^src/workers/', ['^src/(domain|workers)/']),
    only('config-imports-itself', '^src/config(/|\\.ts$)', ['^src/config(/|\\.ts$)']),
    only('http-imports-gateway-and-admin', '^src/http/', ['^src/(domain|gateway|admin|http)/', interfaces]),
    {
      name: 'gateway-knows-no-web-framework',
      severity: 'error',
      from: { path: '^src/(domain|gateway|dialects|ledger|hot-state|catalog|upstream)/', pathNot: test },
      to: { path: 'node_modules/fastify' },
    },
    {
      name: 'only-the-ledger-knows-its-engines',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/ledger/', test] },
      to: { path: 'node_modules/(@electric-sql|pg)/' },
    },
    {
      name: 'only-hot-state-knows-redis',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/hot-state/redis/', test] },
      to: { path: 'node_modules/ioredis/' },
    },
    {
      name: 'only-tracing-knows-opentelemetry',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/observability/tracing/', test] },
      to: { path: 'node_modules/@opentelemetry/' },
    },
    {
      name: 'tracing-is-loaded-only-where-it-is-on',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/observability/tracing/', test] },
      to: { path: '^src/observability/tracing/', dependencyTypesNot: ['dynamic-import'] },
    },
    {
      name: 'simulator-is-loaded-only-where-it-runs',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/simulator/', test] },
      to: { path: '^src/simulator/', dependencyTypesNot: ['dynamic-import', 'type-only'] },
    },
    {
      name: 'only-main-imports-app',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/(main|app)\\.ts$', '^src/app/', test] },
      to: { path: '^src/app(/|\\.ts$)' },
    },
    { name: 'nobody-imports-main', severity: 'error', from: {}, to: { path: '^src/main\\.ts$' } },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'default'],
    },
  },
};
