-- What is known of a tenant.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled, of one tenant
-- ARGV: 1 time in ms, empty but in tests
-- Result: nothing when cold; else a list of the quota hash's names and values, and the number of open holds.
-- include decimal
-- include tenant

dropUnconfirmed(timeMs(ARGV[1]))
if redis.call('HGET', QUOTA, 'loaded') ~= lineage() then return {} end
return { redis.call('HGETALL', QUOTA), redis.call('HLEN', HOLDS) }
