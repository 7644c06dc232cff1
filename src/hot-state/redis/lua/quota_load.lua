-- Fills a cold tenant: its open pendings become holds. A tenant that is loaded, and one whose ticket is not the
-- caller's or too old, takes a newer projection only.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled, of one tenant
-- ARGV: 1 time in ms, empty but in tests   2 the ticket, from before the snapshot was taken
--       3 how many values the projection has   4… the projection as names and values, the version first
--       … for each open pending: trace id, holder, hold in nano, day
-- Result: nothing.
-- include decimal
-- include tenant

local nowMs, lastOfProjection = timeMs(ARGV[1]), 3 + tonumber(ARGV[3])
local givenMs, ticket = string.match(ARGV[2], '^(%d+) (.*)$')
project(4, lastOfProjection)
local quota, life = readQuota(), lineage()
if quota.loaded == life or quota.ticket ~= ticket or string.sub(ticket, 1, #life) ~= life then return end
if nowMs - tonumber(givenMs) > LOAD_WITHIN_MS then return end
-- Holds from before are of another life of the tenant.
redis.call('DEL', HOLDS, UNCONFIRMED)
for name in pairs(quota) do
  if string.sub(name, 1, 5) == 'open:' then redis.call('HDEL', QUOTA, name) end
end
redis.call('HDEL', QUOTA, 'ticket')
redis.call('HSET', QUOTA, 'loaded', life, 'held', '0')
for at = lastOfProjection + 1, #ARGV, 4 do
  local trace, holder = ARGV[at], ARGV[at + 1]
  -- Settled after the snapshot was taken: its hold would never be released again.
  if not isSettled(holder, nowMs) then placeHold(trace, holder, ARGV[at + 2], ARGV[at + 3], LOADED) end
end
