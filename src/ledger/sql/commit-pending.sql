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
--
-- Result: a row per item that was closed, {id, amount, seq, balance_after} with the
-- tenant's quota row after the whole batch as {quota_…}. An item without a row wasn't PENDING.
--
-- The tenants' rows are locked first and in order: two batches that share tenants can't deadlock, and
-- what is computed from a locked row stays true until this commits.
WITH item AS (
  SELECT *
  FROM unnest(
    $1::text[], $2::uuid[], $3::numeric[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
    $8::numeric[], $9::text[], $10::text[], $11::boolean[], $12::boolean[], $13::text[], $14::text[],
    $15::double precision[], $16::double precision[]
  ) WITH ORDINALITY AS i (
    tenant_id, id, amount, usage, usage_method, input_tokens, output_tokens, cost_amount,
    provider, outcome, stream, stream_completed, stream_error, finish_reason, latency_ms,
    time_to_first_byte_ms, position
  )
),
tenant AS MATERIALIZED (
  SELECT q.*
  FROM tenant_quota q
  WHERE q.tenant_id = ANY ($1::text[])
  ORDER BY q.tenant_id
  FOR UPDATE
),
pending AS MATERIALIZED (
  SELECT b.period_day, i.*
  FROM item i
  JOIN tenant t ON t.tenant_id = i.tenant_id
  JOIN billing_transaction b ON b.tenant_id = i.tenant_id AND b.id = i.id
  WHERE b.status = 'PENDING'
  FOR UPDATE OF b
),
numbered AS (
  SELECT
    p.*,
    t.last_seq + row_number() OVER running AS seq,
    t.balance - sum(p.amount) OVER running AS balance_after
  FROM pending p
  JOIN tenant t ON t.tenant_id = p.tenant_id
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
    provider = coalesce(n.provider, b.provider),
    seq = n.seq,
    balance_before = n.balance_after + n.amount,
    balance_after = n.balance_after,
    updated_at = now()
  FROM numbered n
  WHERE b.tenant_id = n.tenant_id AND b.id = n.id
  RETURNING b.id
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
-- A request counts in the day in which it was admitted: one that began before midnight and ends after
-- the first of the new day doesn't count in the new day, and the old day's counter is history.
current_period AS (
  SELECT
    t.tenant_id,
    greatest(t.daily_period, max(n.period_day)) AS day,
    greatest(t.monthly_period, max(date_trunc('month', n.period_day)::date)) AS month
  FROM numbered n
  JOIN tenant t ON t.tenant_id = n.tenant_id
  GROUP BY t.tenant_id, t.daily_period, t.monthly_period
),
total AS (
  SELECT
    n.tenant_id,
    max(n.seq) AS last_seq,
    sum(n.amount) AS amount,
    count(*) FILTER (WHERE n.period_day = c.day) AS in_day,
    count(*) FILTER (WHERE date_trunc('month', n.period_day)::date = c.month) AS in_month,
    c.day,
    c.month
  FROM numbered n
  JOIN current_period c ON c.tenant_id = n.tenant_id
  GROUP BY n.tenant_id, c.day, c.month
),
updated AS (
  UPDATE tenant_quota q
  SET
    balance = t.balance - s.amount,
    last_seq = s.last_seq,
    daily_used = CASE WHEN t.daily_period = s.day THEN t.daily_used ELSE 0 END + s.in_day,
    daily_period = s.day,
    daily_reset_at = (s.day + 1)::timestamp AT TIME ZONE t.time_zone,
    monthly_used = CASE WHEN t.monthly_period = s.month THEN t.monthly_used ELSE 0 END + s.in_month,
    monthly_period = s.month,
    monthly_reset_at = (s.month + interval '1 month')::timestamp AT TIME ZONE t.time_zone,
    version = t.version + 1,
    updated_at = now()
  FROM total s
  JOIN tenant t ON t.tenant_id = s.tenant_id
  WHERE q.tenant_id = s.tenant_id
  RETURNING
    q.tenant_id,
    q.version AS quota_version, q.balance AS quota_balance, q.credit_limit AS quota_credit_limit,
    q.currency AS quota_currency, q.time_zone AS quota_time_zone, q.daily_quota AS quota_daily_quota,
    q.daily_used AS quota_daily_used, q.daily_period AS quota_daily_period,
    q.monthly_quota AS quota_monthly_quota, q.monthly_used AS quota_monthly_used,
    q.monthly_period AS quota_monthly_period, q.rpm_limit AS quota_rpm_limit,
    q.tpm_limit AS quota_tpm_limit, q.rate_multiplier_ppm AS quota_rate_multiplier_ppm
)
SELECT n.id, n.amount, n.seq, n.balance_after, u.*
FROM numbered n
JOIN closed c ON c.id = n.id
JOIN updated u ON u.tenant_id = n.tenant_id
