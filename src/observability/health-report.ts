export type Status = 'healthy' | 'degraded' | 'unhealthy';

export interface PartHealth {
  readonly status: Status;
  readonly latencyMs: number | null;
  /** What it is, or what is wrong with it. */
  readonly detail: string;
}

export interface HealthReport {
  readonly status: Status;
  readonly database: PartHealth;
  readonly redis: PartHealth;
  readonly luaScripts: PartHealth;
}
