-- Gives an API key these quotas and no others. One that it has already keeps what it has counted.
--
-- Parameters: $1 tenant_id text  $2 api_key_id text, then one array element per quota:
--   $3 quota_type text  $4 reset_period text  $5 total_quota: requests, tokens, or currency units
--
-- Result: one row, the tenant's quota row as {quota_…} with {api_key_quotas}, a json array or null: those given, and
-- with a total of null those taken away; or no row where there is no such tenant.
--
-- The tenant's row is changed first: whoever changes or counts quotas of its API keys waits for it.
WITH updated AS (
  UPDATE tenant_quota q
  SET version = q.version + 1, updated_at = now()
  WHERE q.tenant_id = $1
  RETURNING
    -- include quota-columns
),
wanted AS (
  SELECT w.*
  FROM unnest($3::text[], $4::text[], $5::numeric[]) AS w (quota_type, reset_period, total_quota)
),
given AS (
  INSERT INTO api_key_quota AS k (tenant_id, api_key_id, quota_type, reset_period, total_quota)
  SELECT u.tenant_id, $2, w.quota_type, w.reset_period, w.total_quota
  FROM updated u
  CROSS JOIN wanted w
  ON CONFLICT (tenant_id, api_key_id, quota_type, reset_period)
  DO UPDATE SET total_quota = excluded.total_quota, updated_at = now()
  RETURNING k.*
),
taken AS (
  DELETE FROM api_key_quota k
  USING updated u
  WHERE
    k.tenant_id = u.tenant_id AND k.api_key_id = $2
    AND NOT EXISTS (
      SELECT FROM wanted w WHERE w.quota_type = k.quota_type AND w.reset_period = k.reset_period
    )
  RETURNING k.*
),
told AS (
  SELECT api_key_id, quota_type, reset_period, total_quota, used_quota, period FROM given
  UNION ALL
  SELECT api_key_id, quota_type, reset_period, NULL, used_quota, period FROM taken
)
SELECT
  u.*,
  (
    SELECT jsonb_agg(
      -- include api-key-quota-json
    )
    FROM told k
  ) AS api_key_quotas
FROM updated u
