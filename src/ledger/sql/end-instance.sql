-- Ends an instance for good: from now on others settle what it has open. Only if it hasn't beaten since it was looked
-- at: a process that is slow and not dead keeps what it has.
--
-- Parameters: $1 id text, $2 beat int8, or null to end it whatever it did since.
-- Result: a row {id} if it is ended now; none where it had ended before, or has beaten.
UPDATE gateway_instance
SET ended_at = now()
WHERE id = $1 AND ended_at IS NULL AND ($2::bigint IS NULL OR beat = $2::bigint)
RETURNING id
