#!lua flags=no-writes
-- What is known of a tenant.
--
-- KEYS: 1 quota  2 holds  3 settled, of one tenant
-- ARGV: none
-- Result: nothing when cold; else a list of the quota hash's names and values, and the number of open holds.

local quota = redis.call('HGETALL', KEYS[1])
for at = 1, #quota, 2 do
  if quota[at] == 'loaded' then return { quota, redis.call('HLEN', KEYS[2]) } end
end
return {}
