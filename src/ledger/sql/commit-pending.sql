-- Closes PENDING transactions with their charges: rows, balances, sequence numbers, used counters and
-- usage records in one transaction.
--
-- Parameters, one array element per item:
--   $1 tenant_id text        $2 id uuid         $3 amount, currency units
--   $4 usage, jsonb as text  $5 usage_method text     $6 input_tokens int8    $7 output_tokens int8
--   $8 cost_amount, currency units, or null           $9 provider text, or null to keep the pending's
--   $10 outcome text         $11 stream boolean       $12 stream_completed boolean or null
--   $13 stream_error text or null                     $14 finish_reason text or null
--   $15 latency_ms           $16 time_to_first_byte_ms or null
--   $17 rates, jsonb as text $18 input_price and
--   $19 output_price, currency units per 1,000,000 tokens, or null
--   $20 receipt, jsonb as text
--
-- Warns of limits that run out, by events in the outbox.
--
-- Result: a row per item that was closed, {tenant_id, id, amount, seq, balance_after}, and {api_key_quotas} of its API
-- key, a json array or null; a tenant's last one has the tenant's quota row after the whole batch as {quota_…}, which
-- are null in the others. An item without a row wasn't PENDING.
--
-- The tenants' rows are locked first and in order: two batches that share tenants can't deadlock, and
-- what is computed from a locked row stays true until this commits.
--
-- A transaction's status is looked at only once its row is locked: asked for in the same step, Postgres finds
-- the row by going through all that the tenant has open, for each item anew.
WITH item AS (
  SELECT *
  FROM unnest(
    $1::text[], $2::uuid[], $3::numeric[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
    $8::numeric[], $9::text[], $10::text[], $11::boolean[], $12::boolean[], $13::text[], $14::text[],
    $15::double precision[], $16::double precision[], $17::text[], $18::numeric[], $19::numeric[],
    $20::text[]
  ) WITH ORDINALITY AS i (
    tenant_id, id, amount, usage, usage_method, input_tokens, output_tokens, cost_amount,
    provider, outcome, stream, stream_completed, stream_error, finish_reason, latency_ms,
    time_to_first_byte_ms, rates, input_price, output_price, receipt, position
  )
),
-- include lock-tenants
,
locked AS MATERIALIZED (
  SELECT
    b.*, i.*, t.last_seq AS seq_before, t.balance AS balance_before, t.daily_period, t.monthly_period,
    t.time_zone
  FROM item i
  JOIN tenant t ON t.tenant_id = i.tenant_id
  CROSS JOIN LATERAL (
    SELECT b.status, b.period_day, b.api_key_id, b.trace_id
    FROM billing_transaction b
    WHERE b.tenant_id = t.tenant_id AND b.id = i.id
    OFFSET 0
    FOR UPDATE
  ) b
),
numbered AS (
  SELECT
    p.*,
    -p.amount AS effect,
    p.seq_before + row_number() OVER running AS seq,
    p.balance_before - sum(p.amount) OVER running AS balance_after
  FROM locked p
  WHERE p.status = 'PENDING'
  WINDOW running AS (PARTITION BY p.tenant_id ORDER BY p.position)
),
closed AS (
  UPDATE billing_transaction b
  SET
    status = 'COMMITTED',
    amount = n.amount,
    usage = n.usage::jsonb,
    usage_method = n.usage_method,
    input_tokens = n.input_tokens,
    output_tokens = n.output_tokens,
    cost_amount = n.cost_amount,
    rates = n.rates::jsonb,
    input_price = n.input_price,
    output_price = n.output_price,
    receipt = n.receipt::jsonb,
    provider = coalesce(n.provider, b.provider),
    seq = n.seq,
    balance_before = n.balance_after + n.amount,
    balance_after = n.balance_after,
    updated_at = now()
  FROM numbered n
  WHERE
    -- include found-by-keys
  RETURNING b.tenant_id, b.api_key_id, b.id, b.amount, b.seq, b.balance_after
),
recorded AS (
  INSERT INTO usage_record (
    tenant_id, transaction_id, outcome, stream, stream_completed, stream_error, finish_reason,
    latency_ms, time_to_first_byte_ms
  )
  SELECT
    n.tenant_id, n.id, n.outcome, n.stream, n.stream_completed, n.stream_error, n.finish_reason,
    n.latency_ms, n.time_to_first_byte_ms
  FROM numbered n
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
  c.tenant_id, c.id, c.amount, c.seq, c.balance_after, k.api_key_quotas,
  -- include updated-quota
FROM closed c
LEFT JOIN updated u ON u.last_seq = c.seq AND u.tenant_id = c.tenant_id
LEFT JOIN counted_api_key k ON k.tenant_id = c.tenant_id AND k.api_key_id = c.api_key_id
