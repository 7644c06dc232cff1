-- Counts the rows of `numbered` {tenant_id, api_key_id, period_day, time_zone, amount, input_tokens, output_tokens} in
-- the quotas of their API keys, whose tenants' rows are locked. As `counted_api_key`: per API key the quotas that
-- counted, as {api_key_quotas}.
--
-- What is taken from the quota's row as it was when the statement began is what never changes, its type and its
-- period's length: another process may have counted in it while this one waited for the tenant's row.
used_in_period AS (
  SELECT DISTINCT ON (k.tenant_id, k.api_key_id, k.quota_type, k.reset_period)
    k.tenant_id, k.api_key_id, k.quota_type, k.reset_period, p.first_day, max(n.time_zone) AS time_zone,
    CASE k.quota_type
      WHEN 'requests' THEN count(*)
      WHEN 'tokens' THEN sum(coalesce(n.input_tokens, 0) + coalesce(n.output_tokens, 0))
      ELSE sum(n.amount)
    END AS used
  FROM numbered n
  CROSS JOIN LATERAL (
    SELECT * FROM api_key_quota k WHERE k.tenant_id = n.tenant_id AND k.api_key_id = n.api_key_id OFFSET 0
  ) k
  CROSS JOIN LATERAL (
    SELECT
      CASE k.reset_period
        WHEN 'daily' THEN n.period_day
        WHEN 'monthly' THEN date_trunc('month', n.period_day)::date
      END AS first_day
  ) p
  WHERE n.period_day IS NOT NULL
  GROUP BY k.tenant_id, k.api_key_id, k.quota_type, k.reset_period, p.first_day
  ORDER BY k.tenant_id, k.api_key_id, k.quota_type, k.reset_period, p.first_day DESC
),
counted AS (
  UPDATE api_key_quota k
  SET
    -- A request of a period that is over counts in none that came after it.
    used_quota = CASE
      WHEN k.period > s.first_day THEN k.used_quota
      WHEN k.period IS NOT DISTINCT FROM s.first_day THEN k.used_quota + s.used
      ELSE s.used
    END,
    period = greatest(k.period, s.first_day),
    reset_at = CASE k.reset_period
      WHEN 'daily' THEN (greatest(k.period, s.first_day) + 1)::timestamp AT TIME ZONE s.time_zone
      WHEN 'monthly' THEN
        (greatest(k.period, s.first_day) + interval '1 month')::timestamp AT TIME ZONE s.time_zone
    END,
    updated_at = now()
  FROM used_in_period s
  WHERE
    k.tenant_id = ANY (ARRAY[s.tenant_id]) AND k.api_key_id = s.api_key_id
    AND k.quota_type = s.quota_type AND k.reset_period = s.reset_period
  RETURNING k.*, s.used, s.first_day
),
-- Made once, and not anew for each row that is answered.
counted_api_key AS MATERIALIZED (
  SELECT
    k.tenant_id, k.api_key_id,
    jsonb_agg(
      -- include api-key-quota-json
    ) AS api_key_quotas
  FROM counted k
  GROUP BY k.tenant_id, k.api_key_id
)
