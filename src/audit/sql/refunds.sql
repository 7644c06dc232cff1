-- A transaction that was undone names the REFUND that undid it, of the opposite effect; and each REFUND undid one.
--
-- Parameters: $1 tenant_id text[]   $2 how many are told at the most
-- Result: a row per difference, {tenant_id, id, what, found, expected}.
WITH undone AS (
  SELECT b.tenant_id, b.id, b.type, b.status, b.amount, b.reversed_by
  FROM billing_transaction b
  WHERE b.tenant_id = ANY ($1::text[]) AND b.reversed_by IS NOT NULL
)
(
  SELECT o.tenant_id, o.id, 'reversed_by' AS what, o.reversed_by::text AS found, 'a committed REFUND' AS expected
  FROM undone o
  LEFT JOIN billing_transaction r ON r.tenant_id = o.tenant_id AND r.id = o.reversed_by
  WHERE r.type IS DISTINCT FROM 'REFUND' OR r.status IS DISTINCT FROM 'COMMITTED'
  LIMIT $2::integer
)
UNION ALL
(
  SELECT o.tenant_id, o.id, 'reversed_by', o.reversed_by::text, NULL
  FROM undone o
  WHERE o.status <> 'COMMITTED' OR o.type = 'REFUND'
  LIMIT $2::integer
)
UNION ALL
(
  SELECT
    r.tenant_id, r.id, 'amount', r.amount::text,
    (CASE o.type WHEN 'CHARGE' THEN o.amount ELSE -o.amount END)::text || ', to undo ' || o.id::text
  FROM undone o
  JOIN billing_transaction r ON r.tenant_id = o.tenant_id AND r.id = o.reversed_by
  WHERE r.type = 'REFUND' AND r.amount IS DISTINCT FROM CASE o.type WHEN 'CHARGE' THEN o.amount ELSE -o.amount END
  LIMIT $2::integer
)
UNION ALL
(
  SELECT r.tenant_id, r.id, 'transactions that it undid', count(o.id)::text, '1'
  FROM billing_transaction r
  LEFT JOIN undone o ON o.tenant_id = r.tenant_id AND o.reversed_by = r.id
  WHERE r.tenant_id = ANY ($1::text[]) AND r.type = 'REFUND'
  GROUP BY r.tenant_id, r.id
  HAVING count(o.id) <> 1
  LIMIT $2::integer
)
