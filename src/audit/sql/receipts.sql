-- Committed charges that have a receipt, a page in the order of tenant and sequence number.
--
-- Parameters: $1 and $2 tenant_id text, the first and the last tenant
--   $3 tenant_id text and $4 seq int8 of the last row of the page before, or null   $5 the size of a page
-- Result: rows {tenant_id, id, seq, amount, multiplier_ppm, receipt}.
SELECT b.tenant_id, b.id, b.seq, b.amount, b.multiplier_ppm, b.receipt
FROM billing_transaction b
WHERE
  b.tenant_id BETWEEN $1::text AND $2::text AND b.seq IS NOT NULL
  AND ($3::text IS NULL OR (b.tenant_id, b.seq) > ($3::text, $4::bigint))
  AND b.status = 'COMMITTED' AND b.type = 'CHARGE' AND b.receipt IS NOT NULL
ORDER BY b.tenant_id, b.seq
LIMIT $5::integer
