import { createHash, hash, randomBytes } from 'node:crypto';

declare const idBrand: unique symbol;
type Id<Name extends string> = string & { readonly [idBrand]: Name };

export type TenantId = Id<'tenant'>;
export type ApiKeyId = Id<'api key'>;
export type UpstreamId = Id<'upstream'>;
export type TransactionId = Id<'transaction'>;
/** Identifies one billable request within its tenant: a UUIDv7 of ours or the client's `Idempotency-Key`. */
export type TraceId = Id<'trace'>;
/** One life of one gateway process. */
export type InstanceId = Id<'gateway instance'>;

/** A secret as stored: the SHA-256 of it, in hex. */
export type SecretHash = Id<'secret hash'>;
/** SHA-256 over what a repeated request must have in common with the first, in hex. */
export type RequestHash = Id<'request hash'>;

/** Makes a new id that sorts by time: a UUIDv7 in production, a counter in a simulation. */
export type IdSource = () => string;

export function hashSecret(secret: string): SecretHash {
  return hash('sha256', secret) as SecretHash;
}

/** Hashes the parts with their lengths, so that no two lists of parts can meet. */
export function hashRequest(...parts: readonly (string | Uint8Array)[]): RequestHash {
  const digest = createHash('sha256');
  for (const part of parts) {
    digest.update(`${typeof part === 'string' ? Buffer.byteLength(part) : part.byteLength}:`);
    digest.update(part);
  }
  return digest.digest('hex') as RequestHash;
}

/** A new secret with 256 random bits: `tg_…` for API keys, `tga_…` for admin tokens. */
export function newSecret(prefix: 'tg' | 'tga'): string {
  return `${prefix}_${randomBytes(32).toString('base64url')}`;
}
