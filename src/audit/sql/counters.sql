-- No counter says more than the rows do: less it may, since it can be reset, and a request that ends after its day is
-- over counts in no other.
--
-- Parameters: $1 tenant_id text[]   $2 how many are told at the most
-- Result: a row per difference, {tenant_id, id, what, found, expected}.
(
  SELECT q.tenant_id, NULL::uuid AS id, f.what, f.used::text AS found, f.counted::text || ' at the most' AS expected
  FROM tenant_quota q
  CROSS JOIN LATERAL (
    SELECT
      count(*) FILTER (WHERE b.period_day = q.daily_period) AS in_day,
      count(*) FILTER (WHERE date_trunc('month', b.period_day)::date = q.monthly_period) AS in_month
    FROM billing_transaction b
    WHERE b.tenant_id = q.tenant_id AND b.status = 'COMMITTED' AND b.period_day IS NOT NULL
  ) c
  CROSS JOIN LATERAL (
    VALUES ('daily_used', q.daily_used, c.in_day), ('monthly_used', q.monthly_used, c.in_month)
  ) f (what, used, counted)
  WHERE q.tenant_id = ANY ($1::text[]) AND f.used > f.counted
  LIMIT $2::integer
)
UNION ALL
(
  SELECT
    k.tenant_id, NULL,
    'used_quota of API key ' || k.api_key_id || ', ' || k.quota_type || ' ' || k.reset_period,
    k.used_quota::text, k.counted::text || ' at the most'
  FROM (
    SELECT
      k.tenant_id, k.api_key_id, k.quota_type, k.reset_period, k.used_quota,
      CASE k.quota_type
        WHEN 'requests' THEN count(b.id)
        WHEN 'tokens' THEN coalesce(sum(coalesce(b.input_tokens, 0) + coalesce(b.output_tokens, 0)), 0)
        ELSE coalesce(sum(b.amount), 0)
      END AS counted
    FROM api_key_quota k
    LEFT JOIN billing_transaction b
      ON b.tenant_id = k.tenant_id AND b.api_key_id = k.api_key_id
      AND b.status = 'COMMITTED' AND b.period_day IS NOT NULL
      AND CASE k.reset_period
        WHEN 'daily' THEN b.period_day = k.period
        WHEN 'monthly' THEN date_trunc('month', b.period_day)::date = k.period
        ELSE true
      END
    WHERE k.tenant_id = ANY ($1::text[])
    GROUP BY k.tenant_id, k.api_key_id, k.quota_type, k.reset_period
  ) k
  WHERE k.used_quota > k.counted
  LIMIT $2::integer
)
