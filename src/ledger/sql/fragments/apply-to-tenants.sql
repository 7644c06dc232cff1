-- Applies the rows of `numbered` {tenant_id, seq, effect, balance_after, period_day} to the rows of `tenant`, which
-- are locked: balance, last sequence number, used counters and version. As `updated`: the quota rows after it,
-- with what warnings compare them with.
--
-- A request counts in the day in which it was admitted: one that began before midnight and ends after
-- the first of the new day doesn't count in the new day, and the old day's counter is history.
of_day AS (
  SELECT
    n.tenant_id, n.period_day,
    count(*) AS requests,
    max(n.seq) AS last_seq,
    sum(n.effect) AS effect,
    max(n.seq) FILTER (WHERE n.effect > 0) AS credited_seq
  FROM numbered n
  GROUP BY n.tenant_id, n.period_day
),
current_period AS (
  SELECT
    t.tenant_id,
    greatest(t.daily_period, max(d.period_day)) AS day,
    greatest(t.monthly_period, date_trunc('month', max(d.period_day))::date) AS month
  FROM of_day d
  JOIN tenant t ON t.tenant_id = d.tenant_id
  GROUP BY t.tenant_id, t.daily_period, t.monthly_period
),
total AS (
  SELECT
    d.tenant_id,
    max(d.last_seq) AS last_seq,
    sum(d.effect) AS effect,
    max(d.credited_seq) AS credited_seq,
    coalesce(sum(d.requests) FILTER (WHERE d.period_day = c.day), 0)::bigint AS in_day,
    coalesce(sum(d.requests) FILTER (WHERE date_trunc('month', d.period_day)::date = c.month), 0)::bigint
      AS in_month,
    c.day,
    c.month
  FROM of_day d
  JOIN current_period c ON c.tenant_id = d.tenant_id
  GROUP BY d.tenant_id, c.day, c.month
),
-- With the balance that the last credit of this step left.
change AS (
  SELECT
    s.*,
    CASE WHEN s.credited_seq IS NOT NULL THEN (
      SELECT n.balance_after FROM numbered n WHERE n.tenant_id = s.tenant_id AND n.seq = s.credited_seq
    ) END AS credited
  FROM total s
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
  FROM change s
  JOIN tenant t ON t.tenant_id = s.tenant_id
  WHERE q.tenant_id = ANY (ARRAY[s.tenant_id])
  RETURNING
    -- include quota-columns
    ,
    q.last_seq,
    -- For warnings. What ran out before the last credit of this step isn't worth one any more.
    coalesce(t.warning_thresholds, '{20,5,0}') AS thresholds, q.warning_base,
    coalesce(s.credited, t.balance) AS balance_before,
    CASE WHEN t.daily_period IS NOT DISTINCT FROM s.day THEN t.daily_used ELSE 0 END AS daily_used_before,
    CASE WHEN t.monthly_period IS NOT DISTINCT FROM s.month THEN t.monthly_used ELSE 0 END AS monthly_used_before
)
