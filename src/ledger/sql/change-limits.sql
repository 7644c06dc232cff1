-- Changes a tenant's limits.
--
-- Parameters: $1 tenant_id text, then for each limit whether it changes and its new value:
--   $2, $3 credit_limit, currency units     $4, $5 daily_quota int8 or null
--   $6, $7 monthly_quota int8 or null       $8, $9 rpm_limit int8 or null
--   $10, $11 tpm_limit int8 or null         $12, $13 rate_multiplier_ppm int8
--   $14, $15 max_open_requests int8 or null $16, $17 block_on_insufficient boolean or null
--   $18, $19 allow_negative boolean or null  $20, $21 stream_allow_negative boolean or null
--   $22, $23 warning_thresholds smallint[], percents, or null
--
-- Warns of nothing: whoever changes a limit knows it.
--
-- Result: one row, the quota row as {quota_…}; or none where there is no such tenant.
UPDATE tenant_quota q
SET
  credit_limit = CASE WHEN $2::boolean THEN $3::numeric ELSE q.credit_limit END,
  daily_quota = CASE WHEN $4::boolean THEN $5::bigint ELSE q.daily_quota END,
  monthly_quota = CASE WHEN $6::boolean THEN $7::bigint ELSE q.monthly_quota END,
  rpm_limit = CASE WHEN $8::boolean THEN $9::bigint ELSE q.rpm_limit END,
  tpm_limit = CASE WHEN $10::boolean THEN $11::bigint ELSE q.tpm_limit END,
  rate_multiplier_ppm = CASE WHEN $12::boolean THEN $13::bigint ELSE q.rate_multiplier_ppm END,
  max_open_requests = CASE WHEN $14::boolean THEN $15::bigint ELSE q.max_open_requests END,
  block_on_insufficient = CASE WHEN $16::boolean THEN $17::boolean ELSE q.block_on_insufficient END,
  allow_negative = CASE WHEN $18::boolean THEN $19::boolean ELSE q.allow_negative END,
  stream_allow_negative = CASE WHEN $20::boolean THEN $21::boolean ELSE q.stream_allow_negative END,
  warning_thresholds = CASE WHEN $22::boolean THEN $23::smallint[] ELSE q.warning_thresholds END,
  version = q.version + 1,
  updated_at = now()
WHERE q.tenant_id = $1
RETURNING
  -- include quota-columns
