-- Applies the rows of `numbered` {tenant_id, seq, effect, balance_after, period_day, daily_period, monthly_period}, the
-- last two of their tenants, to the rows of their tenants, which are locked: balance, last sequence number, used
-- counters and version. As `updated`: the quota rows after it, with what warnings compare them with.
--
-- A request counts in the day in which it was admitted: one that began before midnight and ends after
-- the first of the new day doesn't count in the new day, and the old day's counter is history.
--
-- `tenant` isn't joined: that compares every pair of rows (ADR 26). What is needed of a tenant before its row is changed
-- comes with `numbered`, and the rest is read of the row that is changed.
of_day AS (
  SELECT
    n.tenant_id, n.period_day,
    count(*) AS requests,
    max(n.seq) AS last_seq,
    sum(n.effect) AS effect,
    max(n.seq) FILTER (WHERE n.effect > 0) AS credited_seq,
    greatest(max(n.daily_period), max(n.period_day) OVER of_tenant) AS day,
    greatest(max(n.monthly_period), date_trunc('month', max(n.period_day) OVER of_tenant)::date) AS month
  FROM numbered n
  GROUP BY n.tenant_id, n.period_day
  WINDOW of_tenant AS (PARTITION BY n.tenant_id)
),
total AS (
  SELECT
    d.tenant_id,
    max(d.last_seq) AS last_seq,
    sum(d.effect) AS effect,
    max(d.credited_seq) AS credited_seq,
    coalesce(sum(d.requests) FILTER (WHERE d.period_day = d.day), 0)::bigint AS in_day,
    coalesce(sum(d.requests) FILTER (WHERE date_trunc('month', d.period_day)::date = d.month), 0)::bigint
      AS in_month,
    d.day,
    d.month
  FROM of_day d
  GROUP BY d.tenant_id, d.day, d.month
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
    balance = q.balance + s.effect,
    warning_base = greatest(coalesce(s.credited, q.warning_base, q.balance), 0),
    last_seq = s.last_seq,
    daily_used = CASE WHEN q.daily_period IS NOT DISTINCT FROM s.day THEN q.daily_used ELSE 0 END + s.in_day,
    daily_period = s.day,
    daily_reset_at = (s.day + 1)::timestamp AT TIME ZONE q.time_zone,
    monthly_used =
      CASE WHEN q.monthly_period IS NOT DISTINCT FROM s.month THEN q.monthly_used ELSE 0 END + s.in_month,
    monthly_period = s.month,
    monthly_reset_at = (s.month + interval '1 month')::timestamp AT TIME ZONE q.time_zone,
    version = q.version + 1,
    updated_at = now()
  FROM change s
  WHERE q.tenant_id = ANY (ARRAY[s.tenant_id])
  RETURNING
    -- First: of each row that the answer is compared with, what stands behind isn't read.
    q.last_seq,
    -- include quota-columns
    ,
    -- For warnings. What ran out before the last credit of this step isn't worth one any more.
    coalesce(q.warning_thresholds, '{20,5,0}') AS thresholds, q.warning_base,
    coalesce(s.credited, q.balance - s.effect) AS balance_before,
    q.daily_used - s.in_day AS daily_used_before, q.monthly_used - s.in_month AS monthly_used_before
)
