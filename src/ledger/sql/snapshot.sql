-- A tenant's quota row with its open holds, both of one moment.
--
-- Parameters: $1 tenant_id text.
-- Result: one row, the quota row as {quota_…} and {open_pendings}, a json array of
-- {id, api_key_id, trace_id, hold_amount, hold_tokens, period_day}, {api_key_quotas}, a json array or null, and
-- {warning_thresholds}, a json array of percents or null; or none where there is no such tenant.
SELECT
  coalesce(
    (
      SELECT jsonb_agg(
        jsonb_build_object(
          'id', b.id, 'api_key_id', b.api_key_id, 'trace_id', b.trace_id,
          'hold_amount', b.hold_amount::text, 'hold_tokens', b.hold_tokens, 'period_day', b.period_day
        )
      )
      FROM billing_transaction b
      WHERE b.tenant_id = q.tenant_id AND b.status = 'PENDING'
    ),
    '[]'
  ) AS open_pendings,
  (
    SELECT jsonb_agg(
      -- include api-key-quota-json
    )
    FROM api_key_quota k
    WHERE k.tenant_id = q.tenant_id
  ) AS api_key_quotas,
  to_jsonb(q.warning_thresholds) AS warning_thresholds,
  -- include quota-columns
FROM tenant_quota q
WHERE q.tenant_id = $1
