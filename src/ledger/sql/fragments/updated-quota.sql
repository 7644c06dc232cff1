-- The columns {quota_…} of {quota-columns}, of `updated` u.
u.quota_version, u.quota_balance, u.quota_credit_limit, u.quota_currency, u.quota_time_zone,
u.quota_daily_quota, u.quota_daily_used, u.quota_daily_period, u.quota_monthly_quota, u.quota_monthly_used,
u.quota_monthly_period, u.quota_rpm_limit, u.quota_tpm_limit, u.quota_rate_multiplier_ppm,
u.quota_max_open_requests, u.quota_block_on_insufficient, u.quota_allow_negative, u.quota_stream_allow_negative
