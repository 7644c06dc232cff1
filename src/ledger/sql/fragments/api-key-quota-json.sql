jsonb_build_object(
  'api_key_id', k.api_key_id, 'quota_type', k.quota_type, 'reset_period', k.reset_period,
  'total_quota', k.total_quota::text, 'used_quota', k.used_quota::text, 'period', k.period
)
