-- A tenant's quota row with its open holds, both of one moment.
--
-- Parameters: $1 tenant_id text.
-- Result: one row, the quota row as {quota_…} and {open_pendings}, a json array of
-- {id, trace_id, hold_amount, period_day}; or none where there is no such tenant.
SELECT
  q.tenant_id,
  q.version AS quota_version, q.balance AS quota_balance, q.credit_limit AS quota_credit_limit,
  q.currency AS quota_currency, q.time_zone AS quota_time_zone, q.daily_quota AS quota_daily_quota,
  q.daily_used AS quota_daily_used, q.daily_period AS quota_daily_period,
  q.monthly_quota AS quota_monthly_quota, q.monthly_used AS quota_monthly_used,
  q.monthly_period AS quota_monthly_period, q.rpm_limit AS quota_rpm_limit, q.tpm_limit AS quota_tpm_limit,
  q.rate_multiplier_ppm AS quota_rate_multiplier_ppm,
  coalesce(
    (
      SELECT jsonb_agg(
        jsonb_build_object(
          'id', b.id, 'trace_id', b.trace_id, 'hold_amount', b.hold_amount::text, 'period_day', b.period_day
        )
      )
      FROM billing_transaction b
      WHERE b.tenant_id = q.tenant_id AND b.status = 'PENDING'
    ),
    '[]'
  ) AS open_pendings
FROM tenant_quota q
WHERE q.tenant_id = $1
