import { asArray, asObject, asText, type JsonObject } from '../json.ts';

/** What a tool runs its code in: each may be a container of another size. */
export type ContainerTool = 'code_interpreter' | 'shell';

/**
 * A container is paid for by its memory, in proportion: what one with a gigabyte costs is the unit, 4 GB
 * are four of them. Named for what OpenAI takes: "1g", "4g", "16g" and "64g".
 */
function unitsOf(settings: JsonObject | null): number {
  const gigabytes = /^(\d{1,3})g$/i.exec(asText(settings?.memory_limit) ?? '')?.[1];
  return Math.max(1, Number(gigabytes ?? 1));
}

/** A shell that the provider runs: one without an environment, or with a local one, is the client's. */
export function isHostedShell(tool: JsonObject): boolean {
  const environment = asText(asObject(tool.environment)?.type);
  return tool.type === 'shell' && environment !== null && environment !== 'local';
}

/** Units of the one container that a tool runs its code in. */
export function containerUnits({ type, container, environment }: JsonObject): number {
  return unitsOf(asObject(type === 'shell' ? environment : container));
}

/** Units of a container by the tool that it belongs to, as a list of tools has them. */
export function containerSizes(tools: unknown): ReadonlyMap<ContainerTool, number> {
  const found = new Map<ContainerTool, number>();
  for (const entry of asArray(tools) ?? []) {
    const tool = asObject(entry);
    if (tool?.type === 'shell' || tool?.type === 'code_interpreter')
      found.set(tool.type, containerUnits(tool));
  }
  return found;
}

/** The container that a call of a shell ran in; null where it is the client that runs it. */
export function containerOfShell({ environment }: JsonObject): string | null {
  return asText(asObject(environment)?.container_id);
}
