import { describe, expect, it } from 'vitest';
import { newSigningSecret, sign } from './signature.ts';

describe('the signature of a webhook', () => {
  it('is the one that the Standard Webhooks specification gives as its example', () => {
    const signed = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: 1614265330,
      body: '{"test": 2432232314}',
    };
    expect(sign('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', signed)).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
  });

  it('is made with 256 random bits', () => {
    const secrets = [newSigningSecret(), newSigningSecret()];
    expect(new Set(secrets).size).toBe(2);
    for (const secret of secrets)
      expect(Buffer.from(secret.replace('whsec_', ''), 'base64')).toHaveLength(32);
  });
});
