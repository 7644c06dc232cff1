-- Applies the rows of `numbered` {tenant_id, seq, effect, balance_after, period_day} to the rows of `tenant`, which
-- are locked: balance, last sequence number, used counters and version. As `updated`: the quota rows after it,
-- with what warnings compare them with.
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
    warning_base = greatest(coalesce(s.credited, t.warning_base, t.balance), 0),
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
    ,
    -- For warnings. What ran out before the last credit of this step isn't worth one any more.
    coalesce(t.warning_thresholds, '{20,5,0}') AS thresholds, q.warning_base,
    coalesce(s.credited, t.balance) AS balance_before,
    CASE WHEN t.daily_period IS NOT DISTINCT FROM s.day THEN t.daily_used ELSE 0 END AS daily_used_before,
    CASE WHEN t.monthly_period IS NOT DISTINCT FROM s.month THEN t.monthly_used ELSE 0 END AS monthly_used_before
)
