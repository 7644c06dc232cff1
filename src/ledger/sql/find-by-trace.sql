-- Parameters, one array element per trace id: $1 tenant_id text, $2 trace_id text.
-- Result: the transaction's row per trace id that exists.
SELECT b.*
FROM unnest($1::text[], $2::text[]) AS i (tenant_id, trace_id)
CROSS JOIN LATERAL (
  SELECT * FROM billing_transaction b WHERE b.tenant_id = i.tenant_id AND b.trace_id = i.trace_id OFFSET 0
) b
