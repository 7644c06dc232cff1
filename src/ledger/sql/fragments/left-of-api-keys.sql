-- What API keys had left of their quotas, and have left now, of the rows of `counted` k.
SELECT
  k.tenant_id, 'api_key_quota.low', k.total_quota - k.used_quota + k.used, k.total_quota - k.used_quota,
  k.total_quota, u.thresholds, u.quota_version, u.quota_currency, k.api_key_id, k.quota_type, k.reset_period,
  k.period
FROM counted k
JOIN updated u ON u.tenant_id = k.tenant_id
-- Of a period that is over, nothing counted.
WHERE k.period IS NOT DISTINCT FROM k.first_day
