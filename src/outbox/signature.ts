import { createHmac, randomBytes } from 'node:crypto';

const prefix = 'whsec_';

/** A new secret to sign with: 256 random bits in base64, after `whsec_`. */
export function newSigningSecret(): string {
  return `${prefix}${randomBytes(32).toString('base64')}`;
}

export interface Signed {
  readonly id: string;
  /** Seconds since the epoch. */
  readonly timestamp: number;
  readonly body: string;
}

/** The signature of the Standard Webhooks specification, version 1: HMAC-SHA256 of `id.timestamp.body`, in base64. */
export function sign(secret: string, { id, timestamp, body }: Signed): string {
  const key = Buffer.from(secret.slice(prefix.length), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}
