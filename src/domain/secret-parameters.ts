/**
 * Query parameters by which clients of some API send their secret: Google's, OAuth's, and what people call
 * them elsewhere. What a client sends there is meant for the gateway, whatever API it calls.
 */
const secretParameters = ['key', '$key', 'api_key', 'apikey', 'access_token', 'oauth_token', 'token'];

/**
 * What of a query is part of the request. Nothing of a secret may reach a provider, whose log it is not for;
 * and as it never does, a repeat with another secret is the same request.
 */
export function withoutSecrets(query: URLSearchParams): URLSearchParams {
  const kept = new URLSearchParams(query);
  for (const name of secretParameters) kept.delete(name);
  return kept;
}
