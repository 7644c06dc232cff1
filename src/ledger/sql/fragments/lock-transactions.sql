-- Locks the rows of the transactions of `item` {tenant_id, id, …}, in that order. As `locked`: the items, each with the
-- {status, trace_id} of its row.
locked AS MATERIALIZED (
  SELECT b.*, i.*
  FROM (SELECT * FROM item ORDER BY tenant_id, id) i
  CROSS JOIN LATERAL (
    SELECT b.status, b.trace_id
    FROM billing_transaction b
    WHERE b.tenant_id = i.tenant_id AND b.id = i.id
    OFFSET 0
    FOR UPDATE
  ) b
)
