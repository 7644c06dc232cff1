-- PENDING transactions that nobody is at work on: of instances that have ended, or past their expiry.
--
-- Parameters: $1 ids of instances that have ended, text[]
--   $2 milliseconds beyond their expiry, and $3 the id of who asks: of that one, and of whoever isn't known to live.
--   Both null: whatever their age
--   $4 id text: every one that is of another instance than this; or null
--   $5 tenant_id and $6 id of the last one that was looked at, or null     $7 how many at the most
-- Result: a row {tenant_id, id, api_key_id, trace_id, owner, checkpoint, open_ms} each, in the order of (tenant_id, id).
SELECT
  b.tenant_id, b.id, b.api_key_id, b.trace_id, b.owner, b.checkpoint,
  extract(epoch FROM now() - b.created_at)::double precision * 1000 AS open_ms
FROM billing_transaction b
WHERE
  b.status = 'PENDING'
  AND (
    b.owner = ANY ($1::text[])
    OR b.owner <> $4::text
    OR (
      b.expires_at < now() - $2::double precision * interval '1 millisecond'
      AND NOT EXISTS (
        SELECT FROM gateway_instance g
        WHERE g.id = b.owner AND g.id <> $3::text AND g.ended_at IS NULL AND g.place IS NOT NULL
      )
    )
  )
  AND ($5::text IS NULL OR (b.tenant_id, b.id) > ($5::text, $6::uuid))
ORDER BY b.tenant_id, b.id
LIMIT $7::integer
