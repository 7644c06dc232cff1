import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnyJson } from './support/admin-plane.ts';
import { addTenant } from './support/gateway.ts';
import { startSetting } from './support/simulated-provider.ts';
import { startReceiver, type WebhookReceiver } from './support/webhook-receiver.ts';

// A limit that runs out, as the one who is to pay hears of it.

const setting = startSetting();
let receiver: WebhookReceiver;

beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.close());

describe('warnings', () => {
  it('reach the webhook of a tenant whose requests use up its money and its day', async () => {
    const { gateway } = setting;
    const [tenant, other] = [
      await addTenant(gateway, { balance: '0.001' }),
      await addTenant(gateway, { balance: '0.001' }),
    ];
    await gateway.admin('PATCH', `/tenants/${tenant.id}`, {
      daily_quota: 2,
      warning_thresholds: [90, 50, 0],
    });
    const { id, secret } = await gateway.admin('POST', '/webhooks', {
      url: receiver.url,
      tenant_id: tenant.id,
    });
    const ask = async (apiKey: string) => {
      const answer = await gateway.call(
        '/v1/chat/completions',
        { model: 'fast', max_tokens: 40, messages: [{ role: 'user', content: 'Tell me of the sea.' }] },
        { authorization: `Bearer ${apiKey}` },
      );
      expect(answer.status).toBe(200);
    };
    await ask(other.apiKey);
    await ask(tenant.apiKey);
    await ask(tenant.apiKey);
    await receiver.until(3);
    const { balance } = (await gateway.admin('GET', `/tenants/${tenant.id}`)).quota;
    const told = receiver.received.map(({ body }) => body as AnyJson);
    expect(told.map(({ type, data }) => `${type} ${data.threshold_percent}`).sort()).toEqual([
      'balance.low 90',
      'quota.low 0',
      'quota.low 50',
    ]);
    for (const event of told) expect(event.data.tenant_id).toBe(tenant.id);
    for (const one of receiver.received) expect(one.verifiesWith(secret)).toBe(true);
    const low = told.find(({ type }) => type === 'balance.low').data;
    expect(low).toMatchObject({ of: '0.001', currency: 'USD' });
    expect(Number(low.left)).toBeLessThanOrEqual(0.0009);
    expect(Number(low.left)).toBeGreaterThanOrEqual(Number(balance));

    for (let wait = 0; ; wait++) {
      const { data } = await gateway.admin('GET', `/events?tenant_id=${tenant.id}`);
      const deliveries = data.flatMap((event: AnyJson) => event.deliveries);
      if (wait < 100 && deliveries.some(({ state }: AnyJson) => state === 'due')) continue;
      expect(data).toHaveLength(3);
      for (const one of deliveries)
        expect(one).toMatchObject({ webhook_id: id, state: 'delivered', attempts: 1, last_error: null });
      break;
    }
    expect(receiver.received).toHaveLength(3);
  });
});
