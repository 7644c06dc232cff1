-- Writes an event into the outbox for each limit of `left_of` {tenant_id, type, left_before, left_after, whole, detail}
-- of which the tenant's lowest threshold crossed is reached now and was not before. Thresholds are percents of `whole`;
-- several that are crossed in one step make one event, which names the lowest. A step that crosses none writes nothing.
warned AS (
  INSERT INTO outbox (tenant_id, type, data)
  SELECT
    l.tenant_id, l.type,
    l.detail || jsonb_build_object(
      'tenant_id', l.tenant_id, 'threshold_percent', c.percent,
      'left', trim_scale(l.left_after)::text, 'of', trim_scale(l.whole)::text
    )
  FROM left_of l
  JOIN tenant t ON t.tenant_id = l.tenant_id
  CROSS JOIN LATERAL (
    SELECT min(p.percent) AS percent
    FROM unnest(coalesce(t.warning_thresholds, '{20,5,0}')) AS p (percent)
    WHERE l.left_before * 100 > l.whole * p.percent AND l.left_after * 100 <= l.whole * p.percent
  ) c
  WHERE c.percent IS NOT NULL
)
