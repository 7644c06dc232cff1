-- Writes an event into the outbox for each limit of `left_of` {tenant_id, type, left_before, left_after, whole,
-- thresholds, version, currency, api_key_id, quota_type, reset_period, period date} of which a threshold, in percent
-- of `whole`, is reached now and was not before. Several that are crossed in one step make one event, which names the
-- lowest. A step that crosses none writes nothing.
warned AS (
  INSERT INTO outbox (tenant_id, type, data)
  SELECT
    l.tenant_id, l.type,
    jsonb_strip_nulls(
      jsonb_build_object(
        'tenant_id', l.tenant_id, 'threshold_percent', c.percent, 'left', trim_scale(l.left_after)::text,
        'of', trim_scale(l.whole)::text, 'currency', l.currency, 'version', l.version,
        'api_key_id', l.api_key_id, 'quota_type', l.quota_type, 'reset_period', l.reset_period,
        'period', to_char(l.period, CASE l.reset_period WHEN 'monthly' THEN 'YYYY-MM' ELSE 'YYYY-MM-DD' END)
      )
    )
  FROM left_of l
  CROSS JOIN LATERAL (
    SELECT min(p.percent) AS percent
    FROM unnest(l.thresholds) AS p (percent)
    WHERE l.left_before * 100 > l.whole * p.percent AND l.left_after * 100 <= l.whole * p.percent
  ) c
  WHERE c.percent IS NOT NULL
)
