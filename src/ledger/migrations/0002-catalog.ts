import { type Kysely, sql } from 'kysely';

/** API keys, upstreams, models with their routes and rate cards, admins, and who changed what. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // The secret's hash is looked up without a tenant; it is not unique in SQL, since every unique key
  // of a tenant's table contains tenant_id, and 256 random bits don't meet.
  await sql`
    CREATE TABLE api_key (
      tenant_id   text NOT NULL REFERENCES tenant,
      id          text NOT NULL,
      name        text NOT NULL,
      secret_hash text NOT NULL,
      prefix      text NOT NULL,
      scopes      text[] NOT NULL DEFAULT '{}',
      models      text[],
      expires_at  timestamptz,
      revoked_at  timestamptz,
      created_at  timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, id)
    )`.execute(db);
  await sql`CREATE INDEX api_key_secret ON api_key (secret_hash)`.execute(db);

  await sql`
    CREATE TABLE upstream (
      id                 text PRIMARY KEY,
      provider           text NOT NULL,
      dialects           text[] NOT NULL CHECK (cardinality(dialects) > 0),
      base_url           text NOT NULL,
      credential         text,
      headers_timeout_ms integer NOT NULL CHECK (headers_timeout_ms > 0),
      idle_timeout_ms    integer NOT NULL CHECK (idle_timeout_ms > 0),
      created_at         timestamptz NOT NULL DEFAULT now(),
      updated_at         timestamptz NOT NULL DEFAULT now()
    )`.execute(db);

  await sql`
    CREATE TABLE model (
      name              text PRIMARY KEY,
      max_input_tokens  bigint CHECK (max_input_tokens > 0),
      max_output_tokens bigint CHECK (max_output_tokens > 0),
      created_at        timestamptz NOT NULL DEFAULT now(),
      updated_at        timestamptz NOT NULL DEFAULT now()
    )`.execute(db);

  await sql`
    CREATE TABLE route (
      model            text NOT NULL REFERENCES model,
      position         integer NOT NULL,
      upstream         text NOT NULL REFERENCES upstream,
      upstream_model   text NOT NULL,
      weight           integer NOT NULL DEFAULT 1 CHECK (weight > 0),
      priority         integer NOT NULL DEFAULT 0,
      when_client_gone text NOT NULL DEFAULT 'cancel' CHECK (when_client_gone IN ('cancel', 'drain')),
      PRIMARY KEY (model, position)
    )`.execute(db);

  // Rates in nano per 1,000,000 units as strings, by usage class: JSON numbers would lose digits.
  await sql`
    CREATE TABLE rate_card (
      model          text NOT NULL REFERENCES model,
      effective_from timestamptz NOT NULL,
      rates          jsonb NOT NULL,
      created_at     timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (model, effective_from)
    )`.execute(db);

  await sql`
    CREATE TABLE admin_token (
      secret_hash text PRIMARY KEY,
      name        text NOT NULL,
      created_at  timestamptz NOT NULL DEFAULT now()
    )`.execute(db);

  await sql`
    CREATE TABLE audit_log (
      id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at      timestamptz NOT NULL DEFAULT now(),
      actor   text NOT NULL,
      action  text NOT NULL,
      subject text NOT NULL,
      detail  jsonb NOT NULL
    )`.execute(db);
  await sql`
    CREATE TRIGGER audit_log_immutable BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION refuse_any_change()`.execute(db);

  await sql`
    CREATE TRIGGER audit_log_kept BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_any_change()`.execute(db);

  await sql`
    CREATE TABLE gateway_instance (
      id           text PRIMARY KEY,
      host         text NOT NULL,
      pid          integer NOT NULL,
      started_at   timestamptz NOT NULL DEFAULT now(),
      heartbeat_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db);
}
