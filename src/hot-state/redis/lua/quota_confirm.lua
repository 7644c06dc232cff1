-- Makes the holds stay whose requests' PENDING rows are durable, where they stand as they were checked: almost always.
-- Of others nothing changes, and quota_check decides, told the day of the row.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled, of one tenant
-- ARGV: 1 time in ms, empty but in tests   2… three for each: trace id, holder, hold in nano
-- Result, for each in their order: 1 where it is confirmed, now or before; 0 where quota_check has to decide.
-- include tenant

local nowMs = timeMs(ARGV[1])
local isLoaded = redis.call('HGET', QUOTA, 'loaded') == lineage()

local function confirm(trace, holder, amount)
  local standing = redis.call('HGET', HOLDS, trace)
  if not standing or not isLoaded then return 0 end
  -- A holder that is settled has no hold: whoever settles it removes it, and nobody places another.
  local held, day, state, rest, ofHolder = string.match(standing, '^(%S+) (%S+) (%S+) (%S+ %S+ %S+ %S+ %S+) (.*)$')
  if ofHolder ~= holder then return 0 end
  if state == CONFIRMED then return 1 end
  if state ~= CHECKED or held ~= amount then return 0 end
  local untilMs = redis.call('ZSCORE', UNCONFIRMED, trace)
  if not untilMs or tonumber(untilMs) <= nowMs then return 0 end
  redis.call('HSET', HOLDS, trace, table.concat({ held, day, CONFIRMED, rest, ofHolder }, ' '))
  redis.call('ZREM', UNCONFIRMED, trace)
  return 1
end

local answers = {}
for at = 2, #ARGV, 3 do table.insert(answers, confirm(ARGV[at], ARGV[at + 1], ARGV[at + 2])) end
return answers
