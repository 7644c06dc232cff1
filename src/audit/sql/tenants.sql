-- A page of tenants with how many transactions they have.
--
-- Parameters: $1 tenant_id text, the last one of the page before, or null   $2 tenant_id text, the only one, or null
--   $3 the size of a page
-- Result: rows {tenant_id, transactions} in order.
SELECT
  q.tenant_id,
  (SELECT count(*) FROM billing_transaction b WHERE b.tenant_id = q.tenant_id) AS transactions
FROM tenant_quota q
WHERE ($1::text IS NULL OR q.tenant_id > $1) AND ($2::text IS NULL OR q.tenant_id = $2)
ORDER BY q.tenant_id
LIMIT $3::integer
