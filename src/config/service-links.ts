type Environment = Readonly<Record<string, string | undefined>>;

const alsoLinks = ['REDIS_PORT', 'PROMETHEUS_PORT'];

/**
 * The environment without what Kubernetes and Docker put there for services that are named "redis" or "prometheus": an
 * address such as tcp://10.0.0.7:6379 as REDIS_PORT.
 */
export function withoutServiceLinks(environment: Environment): Environment {
  const kept = Object.entries(environment).filter(
    ([name, value]) => !(alsoLinks.includes(name) && value !== undefined && /^tcp:\/\//.test(value)),
  );
  return Object.fromEntries(kept);
}
