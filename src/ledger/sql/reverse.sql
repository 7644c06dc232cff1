-- Undoes a COMMITTED transaction by a REFUND of the opposite effect, and marks it as undone.
--
-- Parameters:
--   $1 tenant_id text   $2 id uuid of the transaction to undo
--   $3 id uuid of the REFUND   $4 trace_id text   $5 request_hash text   $6 description text or null
--
-- Warns of money that runs out, by events in the outbox.
--
-- Result: one row, the REFUND's columns, with the tenant's quota row as {quota_…}; or none
-- where there was nothing to undo: unknown, not COMMITTED, itself a REFUND, or undone before.
WITH tenant AS MATERIALIZED (
  SELECT q.* FROM tenant_quota q WHERE q.tenant_id = $1 FOR UPDATE
),
original AS MATERIALIZED (
  SELECT b.*, CASE b.type WHEN 'CHARGE' THEN b.amount ELSE -b.amount END AS refund
  FROM tenant t
  JOIN billing_transaction b ON b.tenant_id = t.tenant_id
  WHERE b.id = $2::uuid AND b.status = 'COMMITTED' AND b.type <> 'REFUND' AND b.reversed_by IS NULL
  FOR UPDATE OF b
),
posted AS (
  INSERT INTO billing_transaction (
    tenant_id, id, api_key_id, trace_id, type, status, amount, currency, provider, model, request_hash,
    description, seq, balance_before, balance_after
  )
  SELECT
    t.tenant_id, $3::uuid, o.api_key_id, $4, 'REFUND', 'COMMITTED', o.refund, t.currency, o.provider,
    o.model, $5, $6, t.last_seq + 1, t.balance, t.balance + o.refund
  FROM original o
  JOIN tenant t ON t.tenant_id = o.tenant_id
  RETURNING *
),
marked AS (
  UPDATE billing_transaction b
  SET reversed_by = $3::uuid, updated_at = now()
  FROM original o
  WHERE b.tenant_id = o.tenant_id AND b.id = o.id
),
updated AS (
  UPDATE tenant_quota q
  SET
    balance = p.balance_after,
    last_seq = p.seq,
    version = t.version + 1,
    updated_at = now()
  FROM posted p
  JOIN tenant t ON t.tenant_id = p.tenant_id
  WHERE q.tenant_id = p.tenant_id
  RETURNING
    -- include quota-columns
    ,
    -- For warnings. A reversal is no credit, and counts no request.
    coalesce(t.warning_thresholds, '{20,5,0}') AS thresholds,
    coalesce(q.warning_base, greatest(t.balance, 0)) AS warning_base, t.balance AS balance_before,
    q.daily_used AS daily_used_before, q.monthly_used AS monthly_used_before
),
left_of AS (
  -- include left-of-limits
),
-- include warn
SELECT
  p.*,
  -- include updated-quota
FROM posted p
JOIN updated u ON u.tenant_id = p.tenant_id
