import { Redis } from 'ioredis';

/** On a connection of its own, which lasts as long as the question. */
export async function askRedis<Answer>(
  { port }: { readonly port: number },
  question: (client: Redis) => Promise<Answer>,
): Promise<Answer> {
  const client = new Redis(port, '127.0.0.1', {
    commandTimeout: 2_000,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  client.on('error', () => undefined);
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}
