import type { ApiKey, Catalog, Credentials } from '../catalog/catalog.ts';
import type { Clock } from '../domain/clock.ts';
import { type Refusal, refusal } from '../domain/errors.ts';
import { hashSecret, type SecretHash } from '../domain/ids.ts';
import { type Soon, whenKnown } from '../domain/soon.ts';
import { isInNetworks } from './networks.ts';
import type { Caller, RequestHeaders } from './request.ts';

export interface AuthenticateOptions {
  readonly catalog: Catalog;
  readonly clock: Clock;
}

export interface Authenticated extends Credentials {
  readonly kind: 'authenticated';
}

const bearer = /^bearer +(.+)$/i;

/** The secret, from whichever header the client's SDK puts it in. */
function secretOf(headers: RequestHeaders): string | undefined {
  const { authorization } = headers;
  const fromBearer = typeof authorization === 'string' ? bearer.exec(authorization)?.[1]?.trim() : undefined;
  if (fromBearer !== undefined) return fromBearer;
  for (const name of ['x-api-key', 'x-goog-api-key']) {
    const value = headers[name];
    if (typeof value === 'string' && value !== '') return value;
  }
  return undefined;
}

/** Of whichever secret it is; undefined where there is none. */
export function secretHashOf(headers: RequestHeaders): SecretHash | undefined {
  const secret = secretOf(headers);
  return secret === undefined ? undefined : hashSecret(secret);
}

/**
 * Who pays for it. Known and unknown secrets cost the same: one SHA-256 and one lookup by the hash, so
 * that neither the time nor the store tells how near a guess was.
 */
export function authenticate(
  { headers, address, secretHash = secretHashOf(headers) }: Caller,
  { catalog, clock }: AuthenticateOptions,
): Soon<Authenticated | Refusal> {
  if (secretHash === undefined) {
    return refusal(
      'API_KEY_INVALID',
      'No API key was sent. Send it as "Authorization: Bearer <API key>", "x-api-key" or "x-goog-api-key".',
    );
  }
  const found = catalog.findApiKey(secretHash);
  return whenKnown(found, (credentials) => permitted(credentials, address, clock));
}

function permitted(
  credentials: Credentials | undefined,
  address: string,
  clock: Clock,
): Authenticated | Refusal {
  if (credentials === undefined || credentials.apiKey.revokedAt !== null) {
    return refusal('API_KEY_INVALID', 'This API key is not known, or was revoked. Nothing was charged.');
  }
  if (isExpired(credentials.apiKey, clock)) {
    return refusal('API_KEY_FORBIDDEN', 'This API key has expired. Nothing was charged.');
  }
  const { allowedNetworks } = credentials.apiKey;
  if (allowedNetworks !== null && !isInNetworks(address, allowedNetworks)) {
    const message = `This API key may not be used from this address (${address}). Nothing was charged.`;
    return refusal('API_KEY_FORBIDDEN', message);
  }
  return { kind: 'authenticated', ...credentials };
}

function isExpired({ expiresAt }: ApiKey, clock: Clock): boolean {
  return expiresAt !== null && expiresAt.getTime() <= clock.now();
}
