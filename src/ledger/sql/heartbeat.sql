-- Says durably that a gateway process lives.
--
-- Parameters: $1 id text, $2 host text, $3 pid int4.
-- Result: nothing.
INSERT INTO gateway_instance (id, host, pid)
VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()
