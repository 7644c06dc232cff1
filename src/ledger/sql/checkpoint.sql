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
-- include lock-transactions
UPDATE billing_transaction b
SET checkpoint = n.checkpoint::jsonb, updated_at = now()
FROM locked n
WHERE
  n.status = 'PENDING'
  AND
  -- include found-by-keys
RETURNING b.id
