-- A tenant's balance is the sum of what was committed, and its last sequence number their count: a ledger begins with
-- nothing.
--
-- Parameters: $1 tenant_id text[]   $2 how many are told at the most
-- Result: a row per difference, {tenant_id, id, what, found, expected}.
SELECT q.tenant_id, NULL::uuid AS id, f.what, f.found::text AS found, f.expected::text AS expected
FROM tenant_quota q
CROSS JOIN LATERAL (
  SELECT
    count(*) AS rows,
    coalesce(sum(CASE b.type WHEN 'CHARGE' THEN -b.amount ELSE b.amount END), 0) AS sum
  FROM billing_transaction b
  WHERE b.tenant_id = q.tenant_id AND b.status = 'COMMITTED'
) c
CROSS JOIN LATERAL (VALUES ('balance', q.balance, c.sum), ('last_seq', q.last_seq, c.rows)) f (what, found, expected)
WHERE q.tenant_id = ANY ($1::text[]) AND f.found IS DISTINCT FROM f.expected
LIMIT $2::integer
