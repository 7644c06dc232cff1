-- Begins counters anew at nothing used, in the period that they are in.
--
-- Parameters: $1 tenant_id text  $2 daily boolean  $3 monthly boolean: the tenant's requests
--   and one array element per quota of an API key: $4 api_key_id text  $5 quota_type text  $6 reset_period text
--
-- Result: one row, the tenant's quota row as {quota_…} with {api_key_quotas}, a json array or null, of those that began
-- anew; or none where there is no such tenant.
--
-- The tenant's row is changed first: whoever changes or counts quotas of its API keys waits for it.
WITH updated AS (
  UPDATE tenant_quota q
  SET
    daily_used = CASE WHEN $2::boolean THEN 0 ELSE q.daily_used END,
    monthly_used = CASE WHEN $3::boolean THEN 0 ELSE q.monthly_used END,
    version = q.version + 1,
    updated_at = now()
  WHERE q.tenant_id = $1
  RETURNING
    -- include quota-columns
),
begun AS (
  UPDATE api_key_quota k
  SET used_quota = 0, updated_at = now()
  FROM updated u
  CROSS JOIN unnest($4::text[], $5::text[], $6::text[]) AS r (api_key_id, quota_type, reset_period)
  WHERE
    k.tenant_id = u.tenant_id AND k.api_key_id = r.api_key_id AND k.quota_type = r.quota_type
    AND k.reset_period = r.reset_period
  RETURNING k.*
)
SELECT
  u.*,
  (
    SELECT jsonb_agg(
      -- include api-key-quota-json
    )
    FROM begun k
  ) AS api_key_quotas
FROM updated u
