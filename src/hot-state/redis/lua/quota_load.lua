-- Fills a cold tenant: its open pendings become holds. A tenant that is loaded takes a newer projection only.
--
-- KEYS: 1 quota  2 holds  3 settled, of one tenant
-- ARGV: 1 time in ms, empty but in tests   2 how many values the projection has
--       3… the projection as names and values, the version first
--       … for each open pending: trace id, holder, hold in nano, day
-- Result: nothing.
-- include decimal
-- include tenant

local nowMs, lastOfProjection = timeMs(ARGV[1]), 2 + tonumber(ARGV[2])
project(3, lastOfProjection)
if redis.call('HSETNX', QUOTA, 'loaded', '1') == 0 then return end
-- Holds without their tenant are of another life of it.
redis.call('DEL', HOLDS)
redis.call('HSET', QUOTA, 'held', '0')
for at = lastOfProjection + 1, #ARGV, 4 do
  -- Settled after the snapshot was taken: its hold would never be released again.
  if not isSettled(ARGV[at + 1], nowMs) then placeHold(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]) end
end
