import { expect, it } from 'vitest';
import { withoutSecrets } from './secret-parameters.ts';

it.each(['key', '$key', 'api_key', 'apikey', 'access_token', 'oauth_token', 'token'])(
  'a secret sent as "%s" is no part of a request, however often it comes, and the rest stays as it was',
  (name) => {
    const secret = new URLSearchParams([[name, 'tg-secret']]);
    const query = new URLSearchParams(`beta=b%20c&${secret}&alt=sse&${secret}&beta=a`);
    expect(withoutSecrets(query).toString()).toBe('beta=b+c&alt=sse&beta=a');
    expect(query.size).toBe(5);
  },
);
