-- Applies the rows of `numbered` {tenant_id, seq, effect, balance_after, period_day} to the rows of `tenant`, which
-- are locked: balance, last sequence number, used counters and version. As `updated`: the quota rows after it; as
-- `left_of_tenant`, for warnings: what each tenant had left of its limits, and has left now.
--
-- A request counts in the day in which it was admitted: one that began before midnight and ends after
-- the first of the new day doesn't count in the new day, and the old day's counter is history.
current_period AS (
  SELECT
    t.tenant_id,
    greatest(t.daily_period, max(n.period_day)) AS day,
    greatest(t.monthly_period, max(date_trunc('month', n.period_day)::date)) AS month
  FROM numbered n
  JOIN tenant t ON t.tenant_id = n.tenant_id
  GROUP BY t.tenant_id, t.daily_period, t.monthly_period
),
total AS (
  SELECT
    n.tenant_id,
    max(n.seq) AS last_seq,
    sum(n.effect) AS effect,
    (array_agg(n.balance_after ORDER BY n.seq DESC) FILTER (WHERE n.effect > 0))[1] AS credited,
    count(*) FILTER (WHERE n.period_day = c.day) AS in_day,
    count(*) FILTER (WHERE date_trunc('month', n.period_day)::date = c.month) AS in_month,
    c.day,
    c.month
  FROM numbered n
  JOIN current_period c ON c.tenant_id = n.tenant_id
  GROUP BY n.tenant_id, c.day, c.month
),
updated AS (
  UPDATE tenant_quota q
  SET
    balance = t.balance + s.effect,
    warning_base = greatest(coalesce(s.credited, t.warning_base), 0),
    last_seq = s.last_seq,
    daily_used = CASE WHEN t.daily_period IS NOT DISTINCT FROM s.day THEN t.daily_used ELSE 0 END + s.in_day,
    daily_period = s.day,
    daily_reset_at = (s.day + 1)::timestamp AT TIME ZONE t.time_zone,
    monthly_used =
      CASE WHEN t.monthly_period IS NOT DISTINCT FROM s.month THEN t.monthly_used ELSE 0 END + s.in_month,
    monthly_period = s.month,
    monthly_reset_at = (s.month + interval '1 month')::timestamp AT TIME ZONE t.time_zone,
    version = t.version + 1,
    updated_at = now()
  FROM total s
  JOIN tenant t ON t.tenant_id = s.tenant_id
  WHERE q.tenant_id = s.tenant_id
  RETURNING
    -- include quota-columns
),
left_of_tenant AS (
  SELECT
    t.tenant_id, m.type, m.left_before, m.left_after, m.whole,
    jsonb_build_object('currency', t.currency, 'version', u.quota_version) AS detail
  FROM updated u
  JOIN total s ON s.tenant_id = u.tenant_id
  JOIN tenant t ON t.tenant_id = u.tenant_id
  CROSS JOIN LATERAL
  -- include left-of-money
  UNION ALL
  SELECT
    t.tenant_id, 'quota.low', m.quota - m.used_before, m.quota - m.used_after, m.quota,
    jsonb_build_object(
      'quota_type', 'requests', 'reset_period', m.reset_period, 'period', m.period, 'version', u.quota_version
    )
  FROM updated u
  JOIN tenant t ON t.tenant_id = u.tenant_id
  CROSS JOIN LATERAL (
    VALUES
      (
        'daily', to_char(u.quota_daily_period, 'YYYY-MM-DD'), t.daily_quota::numeric,
        CASE WHEN t.daily_period IS NOT DISTINCT FROM u.quota_daily_period THEN t.daily_used ELSE 0 END,
        u.quota_daily_used
      ),
      (
        'monthly', to_char(u.quota_monthly_period, 'YYYY-MM'), t.monthly_quota::numeric,
        CASE WHEN t.monthly_period IS NOT DISTINCT FROM u.quota_monthly_period THEN t.monthly_used ELSE 0 END,
        u.quota_monthly_used
      )
  ) AS m (reset_period, period, quota, used_before, used_after)
  WHERE m.quota IS NOT NULL
)
