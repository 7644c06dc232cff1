-- Writes transactions that are COMMITTED from the start: top-ups, adjustments and deductions.
--
-- Parameters, one array element per item:
--   $1 tenant_id text        $2 id uuid             $3 api_key_id text or null  $4 trace_id text
--   $5 type text             $6 amount, currency units: a CHARGE takes it, every other type adds it
--   $7 usage, jsonb as text, or null                $8 usage_method text or null
--   $9 input_tokens int8 or null                    $10 output_tokens int8 or null
--   $11 model text or null   $12 request_hash text  $13 period_day date, or null: counts no request
--   $14 description text or null
--
-- Warns of limits that run out, by events in the outbox.
--
-- Result: a row per item that was written, the transaction's columns that it doesn't bring itself, {tenant_id, id,
-- currency, seq, balance_before, balance_after, created_at, updated_at}, and {api_key_quotas} of its API key, a json
-- array or null; a tenant's last one has the tenant's quota row after the whole batch as {quota_…}, which are null in
-- the others. An item without a row: its trace id exists, or its tenant doesn't. A unique violation means that another
-- process wrote a trace id of this batch in this very moment: nothing was written, and the same again finds its row.
WITH item AS (
  SELECT *
  FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::numeric[], $7::text[], $8::text[],
    $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::date[], $14::text[]
  ) WITH ORDINALITY AS i (
    tenant_id, id, api_key_id, trace_id, type, amount, usage, usage_method, input_tokens, output_tokens,
    model, request_hash, period_day, description, position
  )
),
-- include lock-tenants
,
fresh AS MATERIALIZED (
  SELECT
    i.*, CASE i.type WHEN 'CHARGE' THEN -i.amount ELSE i.amount END AS effect,
    t.currency, t.last_seq AS seq_before, t.balance AS balance_before, t.daily_period, t.monthly_period,
    t.time_zone
  FROM item i
  JOIN tenant t ON t.tenant_id = i.tenant_id
  WHERE NOT EXISTS (
    SELECT FROM billing_transaction b WHERE b.tenant_id = i.tenant_id AND b.trace_id = i.trace_id OFFSET 0
  )
),
numbered AS (
  SELECT
    f.*,
    f.seq_before + row_number() OVER running AS seq,
    f.balance_before + sum(f.effect) OVER running AS balance_after
  FROM fresh f
  WINDOW running AS (PARTITION BY f.tenant_id ORDER BY f.position)
),
posted AS (
  INSERT INTO billing_transaction (
    tenant_id, id, api_key_id, trace_id, type, status, amount, currency, usage, usage_method,
    input_tokens, output_tokens, model, request_hash, period_day, description, seq, balance_before,
    balance_after
  )
  SELECT
    n.tenant_id, n.id, n.api_key_id, n.trace_id, n.type, 'COMMITTED', n.amount, n.currency,
    n.usage::jsonb, n.usage_method, n.input_tokens, n.output_tokens, n.model, n.request_hash,
    n.period_day, n.description, n.seq, n.balance_after - n.effect, n.balance_after
  FROM numbered n
  RETURNING
    tenant_id, id, api_key_id, currency, seq, balance_before, balance_after, created_at, updated_at
),
-- include apply-to-tenants
,
-- include count-api-keys
,
left_of AS (
  -- include left-of-limits
  UNION ALL
  -- include left-of-api-keys
),
-- include warn
SELECT
  p.tenant_id, p.id, p.currency, p.seq, p.balance_before, p.balance_after, p.created_at, p.updated_at,
  k.api_key_quotas,
  -- include updated-quota
FROM posted p
LEFT JOIN updated u ON u.last_seq = p.seq AND u.tenant_id = p.tenant_id
LEFT JOIN counted_api_key k ON k.tenant_id = p.tenant_id AND k.api_key_id = p.api_key_id
