-- What is committed has a sequence number and what is void has none, and each request that is closed has its usage
-- record, written with it; no other row has one.
--
-- Parameters: $1 tenant_id text[]   $2 how many are told at the most
-- Result: a row per difference, {tenant_id, id, what, found, expected}.
--
-- Only what was once open has an owner: a request.
(
  SELECT b.tenant_id, b.id, 'seq' AS what, NULL AS found, 'a number' AS expected
  FROM billing_transaction b
  WHERE b.tenant_id = ANY ($1::text[]) AND b.status = 'COMMITTED' AND b.seq IS NULL
  LIMIT $2::integer
)
UNION ALL
(
  SELECT
    b.tenant_id, b.id, 'usage_record',
    CASE WHEN u.transaction_id IS NULL THEN NULL ELSE u.outcome END,
    CASE WHEN u.transaction_id IS NULL THEN 'one of a closed request' ELSE 'none' END
  FROM billing_transaction b
  LEFT JOIN usage_record u ON u.tenant_id = b.tenant_id AND u.transaction_id = b.id
  WHERE
    b.tenant_id = ANY ($1::text[])
    AND (b.owner IS NOT NULL AND b.status <> 'PENDING') <> (u.transaction_id IS NOT NULL)
  LIMIT $2::integer
)
UNION ALL
(
  SELECT u.tenant_id, u.transaction_id, 'row', NULL, 'the one of its usage record'
  FROM usage_record u
  LEFT JOIN billing_transaction b ON b.tenant_id = u.tenant_id AND b.id = u.transaction_id
  WHERE u.tenant_id = ANY ($1::text[]) AND b.id IS NULL
  LIMIT $2::integer
)
