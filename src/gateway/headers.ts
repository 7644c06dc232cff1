/** Belong to one connection, not to the exchange. */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/**
 * Of the client's headers, what no provider may see: its credentials for us, whose account it would
 * use if the credential were its own, and where it is; and what is ours to set.
 */
const keptFromUpstream = new Set([
  ...hopByHop,
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'expect',
  'authorization',
  'x-api-key',
  'x-goog-api-key',
  'api-key',
  'cookie',
  'openai-organization',
  'openai-project',
  'x-goog-user-project',
  'x-goog-fieldmask',
  'idempotency-key',
  'x-request-id',
  'accept-encoding',
  'forwarded',
  'via',
  'x-real-ip',
  'x-session-id',
  'accept',
  'range',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  'origin',
  'referer',
]);

/**
 * More of these: where the client is, what is ours, and what would choose a service tier of Vertex that
 * neither the body nor the hold shows.
 */
const foreignPrefix = /^x-(forwarded|billing|vertex-ai-llm)-/;

/** Of the provider's headers, what no client may see: our account there, and what is ours to set. */
const keptFromClient = new Set([
  ...hopByHop,
  'content-length',
  'content-encoding',
  'set-cookie',
  'alt-svc',
  'strict-transport-security',
  'x-request-id',
  'openai-organization',
  'openai-project',
  'anthropic-organization-id',
  'server',
  'via',
  'date',
]);

/** The provider's limits of our account, and names that are ours alone. */
const ownPrefix = /^(x-ratelimit|anthropic-ratelimit|x-billing)-/;

type IncomingHeaders = Readonly<Record<string, string | string[] | undefined>>;

const noNames: ReadonlySet<string> = new Set();

/** Names that the sender itself declares to be hop-by-hop (RFC 9110, section 7.6.1). */
function connectionNames(headers: IncomingHeaders): ReadonlySet<string> {
  const value = headers.connection;
  if (value === undefined) return noNames;
  return new Set(
    String(value)
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  );
}

/** The client's headers as a provider may see them, with the provider's own secret. */
export function headersForUpstream(
  headers: IncomingHeaders,
  authorization: Readonly<Record<string, string>>,
): Record<string, string> {
  const declared = connectionNames(headers);
  const kept: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || keptFromUpstream.has(name) || declared.has(name)) continue;
    if (foreignPrefix.test(name)) continue;
    kept[name] = typeof value === 'string' ? value : value.join(', ');
  }
  // In any other format, or in parts, an answer couldn't be metered.
  kept.accept = 'application/json, text/event-stream';
  kept['content-type'] = 'application/json';
  kept['accept-encoding'] = 'identity';
  return Object.assign(kept, authorization);
}

/** The provider's headers as a client may see them. */
export function headersForClient(headers: IncomingHeaders): Record<string, string | string[]> {
  const declared = connectionNames(headers);
  const kept: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || keptFromClient.has(name) || declared.has(name)) continue;
    if (ownPrefix.test(name)) continue;
    kept[name] = value;
  }
  return kept;
}

/** Lower case; empty where there is none. */
export function contentTypeOf({ headers }: { readonly headers: IncomingHeaders }): string {
  return String(headers['content-type'] ?? '').toLowerCase();
}
