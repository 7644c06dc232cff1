-- What is known of a tenant, with every hold: for whoever compares it with the ledger.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled, of one tenant
-- ARGV: 1 time in ms, empty but in tests
-- Result: nothing when cold; else a list of the quota hash's names and values, and one of those of the holds.
-- include decimal
-- include tenant

dropUnconfirmed(timeMs(ARGV[1]))
if redis.call('HGET', QUOTA, 'loaded') ~= lineage() then return {} end
return { redis.call('HGETALL', QUOTA), redis.call('HGETALL', HOLDS) }
