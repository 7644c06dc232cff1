-- Locks the quota rows of the tenants of `item` {tenant_id}, in the order of their ids. As `tenant`: the rows.
tenant AS MATERIALIZED (
  SELECT q.*
  FROM (SELECT DISTINCT tenant_id FROM item ORDER BY tenant_id) i
  CROSS JOIN LATERAL (
    SELECT * FROM tenant_quota q WHERE q.tenant_id = i.tenant_id OFFSET 0 FOR UPDATE
  ) q
)
