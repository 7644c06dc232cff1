export interface WelcomeOptions {
  readonly url: string;
  /** Null where there are none. */
  readonly metricsUrl: string | null;
  /** Null when it was shown before, or is set by the environment. */
  readonly adminToken: string | null;
  readonly adminTokenFromEnvironment: boolean;
  /** Null without a demo; its API key is null when it was shown before. */
  readonly demo: { readonly apiKey: string | null } | null;
  readonly providers: readonly { readonly title: string; readonly served: readonly string[] }[];
}

function adminLine({ adminToken, adminTokenFromEnvironment }: WelcomeOptions): string {
  if (adminTokenFromEnvironment) return 'Admin token   from ADMIN_TOKEN';
  return adminToken === null
    ? 'Admin token   shown at the first start; lost it? start with ADMIN_TOKEN set to a new one'
    : `Admin token   ${adminToken}   (shown only now)`;
}

function demoLines({ url, demo }: WelcomeOptions): string[] {
  if (demo === null) return [];
  const apiKey = demo.apiKey ?? '$TOLLGATE_API_KEY';
  const shown =
    demo.apiKey === null
      ? `API key       shown at the first start; lost it? POST ${url}/admin/v1/tenants/demo/api-keys {"name":"another"}`
      : `API key       ${demo.apiKey}   (tenant demo, balance 10.00; shown only now)`;
  const body = '{"model":"sim-small","stream":true,"messages":[{"role":"user","content":"Hello!"}]}';
  return [
    shown,
    '',
    `curl -N ${url}/v1/chat/completions \\`,
    `  -H "Authorization: Bearer ${apiKey}" \\`,
    '  -H "Content-Type: application/json" \\',
    `  -d '${body}'`,
  ];
}

/** What to paste, once the gateway is ready. */
export function welcome(options: WelcomeOptions): string {
  const providers = options.providers.map(
    ({ title, served }) => `${title.padEnd(14)}${served.length} models, priced by the price book`,
  );
  return [
    '',
    `Tollgate is ready on ${options.url}`,
    '',
    adminLine(options),
    ...(options.metricsUrl === null ? [] : [`Metrics       ${options.metricsUrl}`]),
    ...providers,
    ...demoLines(options),
    '',
    '',
  ].join('\n');
}
