-- Locks a session for a request, or for longer where the request has it already.
--
-- KEYS: 1 session   ARGV: 1 holder   2 for so many ms
-- Result: 1 where the request has it now, 0 where another one does.
local standing = redis.call('GET', KEYS[1])
if standing and standing ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
