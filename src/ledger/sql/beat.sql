-- Says durably that a gateway process lives, for the first time or again.
--
-- Parameters: $1 id text, $2 host text, $3 pid int4, $4 place text.
-- Result: one row {now}, this server's time; none where the instance has ended: it is never alive again.
INSERT INTO gateway_instance AS g (id, host, pid, place)
VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = now(), beat = g.beat + 1, place = excluded.place
WHERE g.ended_at IS NULL
RETURNING now() AS now
