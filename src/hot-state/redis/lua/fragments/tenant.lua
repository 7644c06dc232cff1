-- One tenant in hot state. What the keys hold is described where they are made: src/hot-state/redis/keys.ts.
local QUOTA, HOLDS, SETTLED = KEYS[1], KEYS[2], KEYS[3]

-- For so long a settled request is recognised: longer than a snapshot takes from the ledger to here. A
-- later repeat is recognised by the ledger.
local SETTLED_FOR_MS = 30000

-- A count as a string: Lua itself would write 1e+15.
local function whole(number) return string.format('%.0f', number) end

-- Milliseconds since the epoch by this server's clock; tests give a time of their own.
local function timeMs(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function readQuota()
  local flat, quota = redis.call('HGETALL', QUOTA), {}
  for at = 1, #flat, 2 do quota[flat[at]] = flat[at + 1] end
  return quota
end

-- Takes the projection in ARGV, from `first` to `last` as names and values with the version first, if it
-- is newer. Without a tenant here it is kept until the snapshot comes, which may have been taken before.
local function project(first, last)
  local known = redis.call('HGET', QUOTA, 'version')
  if known and tonumber(known) >= tonumber(ARGV[first + 1]) then return end
  redis.call('HSET', QUOTA, unpack(ARGV, first, last))
end

local function isSettled(holder, nowMs)
  local untilMs = redis.call('ZSCORE', SETTLED, holder)
  return untilMs and tonumber(untilMs) > nowMs
end

local function changeHeld(amount)
  redis.call('HSET', QUOTA, 'held', add(redis.call('HGET', QUOTA, 'held') or '0', amount))
end

local function readHold(trace)
  local hold = redis.call('HGET', HOLDS, trace)
  if not hold then return nil end
  local amount, day, holder = string.match(hold, '^(%-?%d+) (%S+) (.*)$')
  return { amount = amount, day = day, holder = holder }
end

local function placeHold(trace, holder, amount, day)
  if redis.call('HSETNX', HOLDS, trace, amount .. ' ' .. day .. ' ' .. holder) == 0 then return end
  changeHeld(amount)
  redis.call('HINCRBY', QUOTA, 'open:' .. day, 1)
end

-- Removes the hold if it is this holder's, and remembers that the request is settled in any case.
local function settle(trace, holder, nowMs)
  redis.call('ZREMRANGEBYSCORE', SETTLED, '-inf', whole(nowMs))
  redis.call('ZADD', SETTLED, whole(nowMs + SETTLED_FOR_MS), holder)
  -- An idle tenant's goes as a whole; twice as long, since a clock may step.
  redis.call('PEXPIRE', SETTLED, 2 * SETTLED_FOR_MS)
  local hold = readHold(trace)
  if hold == nil or hold.holder ~= holder then return end
  redis.call('HDEL', HOLDS, trace)
  changeHeld(negate(hold.amount))
  local open = 'open:' .. hold.day
  if redis.call('HINCRBY', QUOTA, open, -1) <= 0 then redis.call('HDEL', QUOTA, open) end
end
