-- Writes down what PENDING transactions are to be charged if their process dies now. The last one stands.
--
-- Parameters, one array element per item: $1 tenant_id text, $2 id uuid, $3 checkpoint, jsonb as text.
--
-- Result: a row {id} per item that was written. An item without a row isn't PENDING.
--
-- As for a commit, the status is looked at only once the row is locked.
WITH item AS (
  SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[]) AS i (tenant_id, id, checkpoint)
),
locked AS MATERIALIZED (
  SELECT b.status, i.*
  FROM item i
  JOIN billing_transaction b ON b.tenant_id = i.tenant_id AND b.id = i.id
  ORDER BY b.tenant_id, b.id
  FOR UPDATE OF b
)
UPDATE billing_transaction b
SET checkpoint = l.checkpoint::jsonb, updated_at = now()
FROM locked l
WHERE b.tenant_id = l.tenant_id AND b.id = l.id AND l.status = 'PENDING'
RETURNING b.id
