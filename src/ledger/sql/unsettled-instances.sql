-- The processes of which something may be open: those that live, and those that have ended and whose transactions
-- others may still have to settle.
--
-- Parameters: none.
-- Result: a row {id, host, pid, place, beat, ended} each. Without a place: of a version that doesn't beat.
SELECT id, host, pid, place, beat, ended_at IS NOT NULL AS ended
FROM gateway_instance
WHERE settled_at IS NULL
ORDER BY id
