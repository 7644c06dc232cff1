-- One tenant in hot state. What the keys hold is described where they are made: src/hot-state/redis/keys.ts.
local QUOTA, HOLDS, UNCONFIRMED, SETTLED, OPEN = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

-- What a hold is: placed by a check, brought back by a snapshot, or confirmed when its PENDING row is durable.
local CHECKED, LOADED, CONFIRMED = 'checked', 'loaded', 'confirmed'

-- A hold that isn't confirmed in this time is dropped: its process died, or its reply was lost. One that is
-- confirmed later still is placed anew, if the money is there.
local UNCONFIRMED_FOR_MS = 30000
local MOST_DROPPED_AT_ONCE = 100

-- For so long a settled request is recognised: longer than a snapshot takes from the ledger to here. A
-- later repeat is recognised by the ledger.
local SETTLED_FOR_MS = 30000

-- A snapshot that took longer is not loaded: what was settled in between may be forgotten.
local LOAD_WITHIN_MS = 20000

-- A tenant that nobody asked for in this time is cold again.
local IDLE_FOR_MS = 24 * 3600 * 1000

-- A count as a string: Lua itself would write 1e+15.
local function whole(number) return string.format('%.0f', number) end

-- Milliseconds since the epoch by this server's clock; tests give a time of their own.
local function timeMs(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The life of this server's data: another one after a restart, even one that restored them from disk, and after
-- a replica was promoted, which may lack the last writes. What was loaded in another life is cold.
local function lineage()
  local info = redis.call('INFO', 'replication')
  local at = string.find(info, 'master_replid:', 1, true)
  return at and string.sub(info, at + 14, at + 53) or 'unknown'
end

local function readQuota()
  local flat, quota = redis.call('HGETALL', QUOTA), {}
  for at = 1, #flat, 2 do quota[flat[at]] = flat[at + 1] end
  return quota
end

local function keepQuota() redis.call('PEXPIRE', QUOTA, IDLE_FOR_MS) end

-- Permits to load a snapshot that is taken from now on. It stands in the quota hash, so that it is lost with
-- what a flush takes: a snapshot from before the flush may lack holds that were placed in between. Of no more than
-- 64 bytes: Redis keeps a hash with a longer value in three times the memory, for ever.
local function ticketFor(standing, nowMs)
  local life = lineage()
  if not standing or string.sub(standing, 1, #life) ~= life then
    local time = redis.call('TIME')
    standing = life .. ':' .. time[1] .. '.' .. time[2]
    redis.call('HSET', QUOTA, 'ticket', standing)
    keepQuota()
  end
  return whole(nowMs) .. ' ' .. standing
end

-- Takes the projection in ARGV, from `first` to `last` as names and values with the version first, if it
-- is newer. Without a tenant here it is kept until the snapshot comes, which may have been taken before.
local function project(first, last)
  local known = redis.call('HGET', QUOTA, 'version')
  if known and tonumber(known) >= tonumber(ARGV[first + 1]) then return end
  redis.call('HSET', QUOTA, unpack(ARGV, first, last))
  keepQuota()
end

local function isSettled(holder, nowMs)
  local untilMs = redis.call('ZSCORE', SETTLED, holder)
  return untilMs and tonumber(untilMs) > nowMs
end

local function changeHeld(amount)
  redis.call('HSET', QUOTA, 'held', add(redis.call('HGET', QUOTA, 'held') or '0', amount))
end

-- Nothing is reserved in a minute, and nothing exceeded.
local NONE = '-'

local function readHold(trace)
  local hold = redis.call('HGET', HOLDS, trace)
  if not hold then return nil end
  local amount, day, state, exceeded, tokens, bucket, apiKeyBucket, apiKeyId, holder =
    string.match(hold, '^(%-?%d+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.*)$')
  return {
    amount = amount,
    day = day,
    state = state,
    exceeded = exceeded,
    tokens = tonumber(tokens),
    bucket = bucket,
    apiKeyBucket = apiKeyBucket,
    apiKeyId = apiKeyId,
    holder = holder,
  }
end

local function holdText(hold)
  return table.concat({
    hold.amount,
    hold.day,
    hold.state,
    hold.exceeded or NONE,
    whole(hold.tokens or 0),
    hold.bucket or NONE,
    hold.apiKeyBucket or NONE,
    hold.apiKeyId,
    hold.holder,
  }, ' ')
end

local function writeHold(trace, hold) redis.call('HSET', HOLDS, trace, holdText(hold)) end

-- Where none stands under this trace id.
local function placeHold(trace, hold)
  writeHold(trace, hold)
  changeHeld(hold.amount)
  redis.call('HINCRBY', QUOTA, 'open:' .. hold.day, 1)
  redis.call('HINCRBY', OPEN, hold.apiKeyId, 1)
end

local function expireUnconfirmed(trace, nowMs)
  redis.call('ZADD', UNCONFIRMED, whole(nowMs + UNCONFIRMED_FOR_MS), trace)
end

-- The hold with another amount, or in another state.
local function replaceHold(trace, hold, growth)
  writeHold(trace, hold)
  redis.call('ZREM', UNCONFIRMED, trace)
  if growth ~= '0' then changeHeld(growth) end
end

local function countDown(redisKey, name)
  if redis.call('HINCRBY', redisKey, name, -1) <= 0 then redis.call('HDEL', redisKey, name) end
end

local function dropHold(trace, hold)
  redis.call('HDEL', HOLDS, trace)
  redis.call('ZREM', UNCONFIRMED, trace)
  changeHeld(negate(hold.amount))
  countDown(QUOTA, 'open:' .. hold.day)
  countDown(OPEN, hold.apiKeyId)
end

local function dropUnconfirmed(nowMs)
  local late = redis.call('ZRANGEBYSCORE', UNCONFIRMED, '-inf', whole(nowMs), 'LIMIT', 0, MOST_DROPPED_AT_ONCE)
  for _, trace in ipairs(late) do
    local hold = readHold(trace)
    if hold then dropHold(trace, hold) else redis.call('ZREM', UNCONFIRMED, trace) end
  end
end
