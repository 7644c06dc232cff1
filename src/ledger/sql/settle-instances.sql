-- Marks ended instances of which nothing is open as settled, and forgets those of long ago. What such a process sent
-- before its death may arrive a little later, so it is looked after for a while.
--
-- Parameters: $1 for how many milliseconds after its end.
-- Result: nothing.
WITH forgotten AS (
  DELETE FROM gateway_instance WHERE settled_at < now() - interval '7 days'
)
UPDATE gateway_instance g
SET settled_at = now()
WHERE
  g.settled_at IS NULL
  AND (
    g.ended_at < now() - $1::double precision * interval '1 millisecond'
    -- Of a version that doesn't say when it ends.
    OR (g.place IS NULL AND g.heartbeat_at < now() - interval '1 day')
  )
  AND NOT EXISTS (
    SELECT FROM billing_transaction b WHERE b.owner = g.id AND b.status = 'PENDING'
  )
