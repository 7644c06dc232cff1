-- What tenants had left of their limits, and have left now, of the rows of `updated` u: {quota_…} and what
-- {apply-to-tenants} says.
SELECT
  u.tenant_id, m.type, m.left_before, m.left_after, m.whole, u.thresholds, u.quota_version AS version,
  u.quota_currency AS currency, NULL::text AS api_key_id, m.quota_type, m.reset_period, m.period
FROM updated u
CROSS JOIN LATERAL (
  VALUES
    ('balance.low', u.balance_before, u.quota_balance, u.warning_base, NULL, NULL, NULL),
    (
      'credit.low', least(u.balance_before, 0) + u.quota_credit_limit,
      least(u.quota_balance, 0) + u.quota_credit_limit, u.quota_credit_limit, NULL, NULL, NULL
    ),
    (
      'quota.low', u.quota_daily_quota - u.daily_used_before, u.quota_daily_quota - u.quota_daily_used,
      u.quota_daily_quota, 'requests', 'daily', u.quota_daily_period
    ),
    (
      'quota.low', u.quota_monthly_quota - u.monthly_used_before, u.quota_monthly_quota - u.quota_monthly_used,
      u.quota_monthly_quota, 'requests', 'monthly', u.quota_monthly_period
    )
) AS m (type, left_before, left_after, whole, quota_type, reset_period, period)
-- Of a limit that isn't set nothing is left.
WHERE m.whole IS NOT NULL
