-- No transaction stays open after its expiry while a gateway lives for ten minutes, which had to close it: a ledger
-- without a gateway keeps what was open.
--
-- Parameters: $1 tenant_id text[]   $2 how many are told at the most
-- Result: a row per difference, {tenant_id, id, what, found, expected}.
SELECT
  b.tenant_id, b.id, 'status' AS what, 'PENDING' AS found,
  'closed after ' || to_char(b.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS expected
FROM billing_transaction b
WHERE
  b.tenant_id = ANY ($1::text[]) AND b.status = 'PENDING'
  AND EXISTS (
    SELECT
    FROM gateway_instance g
    WHERE g.heartbeat_at - greatest(g.started_at, b.expires_at) > interval '10 minutes'
  )
LIMIT $2::integer
