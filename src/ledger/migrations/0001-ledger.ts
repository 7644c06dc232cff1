import { type Kysely, sql } from 'kysely';

/**
 * The ledger: tenants, their quota rows, transactions and usage records.
 * Every primary and unique key contains tenant_id, so that an engine can distribute by it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE tenant (
      tenant_id  text PRIMARY KEY,
      name       text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db);

  // fillfactor leaves room in each page for the next version of a row that changes with every commit.
  await sql`
    CREATE TABLE tenant_quota (
      tenant_id           text PRIMARY KEY REFERENCES tenant,
      balance             numeric(20,9) NOT NULL DEFAULT 0,
      credit_limit        numeric(20,9) NOT NULL DEFAULT 0 CHECK (credit_limit >= 0),
      currency            text NOT NULL,
      time_zone           text NOT NULL,
      daily_quota         bigint CHECK (daily_quota >= 0),
      daily_used          bigint NOT NULL DEFAULT 0 CHECK (daily_used >= 0),
      daily_period        date,
      daily_reset_at      timestamptz,
      monthly_quota       bigint CHECK (monthly_quota >= 0),
      monthly_used        bigint NOT NULL DEFAULT 0 CHECK (monthly_used >= 0),
      monthly_period      date,
      monthly_reset_at    timestamptz,
      rpm_limit           bigint CHECK (rpm_limit >= 0),
      tpm_limit           bigint CHECK (tpm_limit >= 0),
      rate_multiplier_ppm bigint NOT NULL DEFAULT 1000000 CHECK (rate_multiplier_ppm >= 0),
      last_seq            bigint NOT NULL DEFAULT 0,
      version             bigint NOT NULL DEFAULT 1,
      created_at          timestamptz NOT NULL DEFAULT now(),
      updated_at          timestamptz NOT NULL DEFAULT now()
    ) WITH (fillfactor = 70)`.execute(db);

  await sql`
    CREATE TABLE billing_transaction (
      tenant_id      text NOT NULL REFERENCES tenant,
      id             uuid NOT NULL,
      api_key_id     text,
      trace_id       text NOT NULL,
      type           text NOT NULL CHECK (type IN ('CHARGE', 'TOPUP', 'ADJUSTMENT', 'REFUND')),
      status         text NOT NULL CHECK (status IN ('PENDING', 'COMMITTED', 'VOIDED')),
      amount         numeric(20,9),
      currency       text NOT NULL,
      hold_amount    numeric(20,9),
      input_tokens   bigint,
      output_tokens  bigint,
      usage          jsonb,
      usage_method   text CHECK (usage_method IN ('usage', 'tiktoken', 'estimated')),
      input_price    numeric(26,9),
      output_price   numeric(26,9),
      rates          jsonb,
      multiplier_ppm bigint,
      cost_amount    numeric(20,9),
      seq            bigint,
      balance_before numeric(20,9),
      balance_after  numeric(20,9),
      provider       text,
      model          text,
      request_hash   text NOT NULL,
      period_day     date,
      expires_at     timestamptz,
      owner          text,
      checkpoint     jsonb,
      reversed_by    uuid,
      description    text,
      created_at     timestamptz NOT NULL DEFAULT now(),
      updated_at     timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, id),
      UNIQUE (tenant_id, trace_id),
      CHECK (status <> 'COMMITTED' OR (amount IS NOT NULL AND seq IS NOT NULL
        AND balance_before IS NOT NULL AND balance_after IS NOT NULL)),
      CHECK (status <> 'COMMITTED' OR balance_after - balance_before =
        CASE type WHEN 'CHARGE' THEN -amount ELSE amount END),
      CHECK (status <> 'PENDING' OR (expires_at IS NOT NULL AND owner IS NOT NULL
        AND hold_amount IS NOT NULL AND amount IS NULL)),
      CHECK (status <> 'VOIDED' OR amount IS NULL),
      CHECK (type NOT IN ('CHARGE', 'TOPUP') OR amount IS NULL OR amount >= 0)
    ) WITH (fillfactor = 85)`.execute(db);
  await sql`
    CREATE UNIQUE INDEX billing_transaction_seq ON billing_transaction (tenant_id, seq)
    WHERE seq IS NOT NULL`.execute(db);
  await sql`
    CREATE INDEX billing_transaction_open ON billing_transaction (tenant_id, expires_at)
    WHERE status = 'PENDING'`.execute(db);
  await sql`CREATE INDEX billing_transaction_id ON billing_transaction (id)`.execute(db);

  await sql`
    CREATE TABLE usage_record (
      tenant_id             text NOT NULL,
      transaction_id        uuid NOT NULL,
      outcome               text NOT NULL,
      stream                boolean NOT NULL,
      stream_completed      boolean,
      stream_error          text,
      finish_reason         text,
      latency_ms            double precision NOT NULL,
      time_to_first_byte_ms double precision,
      created_at            timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, transaction_id),
      FOREIGN KEY (tenant_id, transaction_id) REFERENCES billing_transaction (tenant_id, id)
    )`.execute(db);

  // History is immutable: what is closed only ever gains the id of the REFUND that undid it.
  await sql`
    CREATE FUNCTION refuse_change_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      permitted billing_transaction;
    BEGIN
      IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION 'rows of % are never deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
      END IF;
      permitted := NEW;
      IF OLD.status <> 'PENDING' THEN
        IF OLD.reversed_by IS NULL THEN
          permitted.reversed_by := OLD.reversed_by;
        END IF;
        permitted.updated_at := OLD.updated_at;
        IF permitted IS DISTINCT FROM OLD THEN
          RAISE EXCEPTION 'transaction % is closed and never changes', OLD.id USING ERRCODE = 'restrict_violation';
        END IF;
      ELSIF (NEW.tenant_id, NEW.id, NEW.trace_id, NEW.type, NEW.request_hash, NEW.created_at)
        IS DISTINCT FROM (OLD.tenant_id, OLD.id, OLD.trace_id, OLD.type, OLD.request_hash, OLD.created_at) THEN
        RAISE EXCEPTION 'transaction % can''t become another', OLD.id USING ERRCODE = 'restrict_violation';
      END IF;
      RETURN NEW;
    END $$`.execute(db);
  await sql`
    CREATE TRIGGER billing_transaction_immutable BEFORE UPDATE OR DELETE ON billing_transaction
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_history()`.execute(db);
  await sql`
    CREATE TRIGGER billing_transaction_kept BEFORE TRUNCATE ON billing_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history()`.execute(db);

  await sql`
    CREATE FUNCTION refuse_any_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'rows of % never change', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END $$`.execute(db);
  await sql`
    CREATE TRIGGER usage_record_immutable BEFORE UPDATE OR DELETE ON usage_record
    FOR EACH ROW EXECUTE FUNCTION refuse_any_change()`.execute(db);

  await sql`
    CREATE TRIGGER usage_record_kept BEFORE TRUNCATE ON usage_record
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_any_change()`.execute(db);

  await sql`
    CREATE TABLE api_key_quota (
      tenant_id    text NOT NULL REFERENCES tenant,
      api_key_id   text NOT NULL,
      quota_type   text NOT NULL CHECK (quota_type IN ('requests', 'tokens', 'amount')),
      total_quota  numeric(20,9) NOT NULL CHECK (total_quota >= 0),
      used_quota   numeric(20,9) NOT NULL DEFAULT 0,
      reset_period text NOT NULL CHECK (reset_period IN ('daily', 'monthly', 'never')),
      reset_at     timestamptz,
      PRIMARY KEY (tenant_id, api_key_id, quota_type, reset_period)
    )`.execute(db);
}
