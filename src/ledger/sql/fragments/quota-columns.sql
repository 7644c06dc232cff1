-- The tenant's quota row, of alias q, as the columns {quota_…}.
q.tenant_id,
q.version AS quota_version, q.balance AS quota_balance, q.credit_limit AS quota_credit_limit,
q.currency AS quota_currency, q.time_zone AS quota_time_zone, q.daily_quota AS quota_daily_quota,
q.daily_used AS quota_daily_used, q.daily_period AS quota_daily_period,
q.monthly_quota AS quota_monthly_quota, q.monthly_used AS quota_monthly_used,
q.monthly_period AS quota_monthly_period, q.rpm_limit AS quota_rpm_limit,
q.tpm_limit AS quota_tpm_limit, q.rate_multiplier_ppm AS quota_rate_multiplier_ppm,
q.max_open_requests AS quota_max_open_requests, q.block_on_insufficient AS quota_block_on_insufficient,
q.allow_negative AS quota_allow_negative, q.stream_allow_negative AS quota_stream_allow_negative
