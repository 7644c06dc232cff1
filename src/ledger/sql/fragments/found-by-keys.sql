-- That the row b of billing_transaction is the one of n, {tenant_id, id, trace_id}, in words of which every plan is a
-- look-up (ADR 26): whichever index is taken, it is by the whole of its key. Equality would let a plan that was
-- made while the table was small go through all of it in the order of an index.
b.tenant_id = ANY (ARRAY[n.tenant_id])
AND b.id BETWEEN n.id AND n.id
AND b.trace_id BETWEEN n.trace_id AND n.trace_id
