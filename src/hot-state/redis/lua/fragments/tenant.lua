-- One tenant in hot state. What the keys hold is described where they are made: src/hot-state/redis/keys.ts.
local QUOTA, HOLDS, UNCONFIRMED, SETTLED = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- What a hold is: placed by a check, brought back by a snapshot, or confirmed when its PENDING row is durable.
local CHECKED, LOADED, CONFIRMED = 'checked', 'loaded', 'confirmed'

-- A hold that isn't confirmed in this time is dropped: its process died, or its reply was lost. One that is
-- confirmed later still is placed anew, if the money is there.
local UNCONFIRMED_FOR_MS = 30000
local MOST_DROPPED_AT_ONCE = '100'

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
-- a replica was promoted, which may lack the last writes. What was loaded in another life is cold, and so is what
-- scripts of another layout loaded: they count open requests elsewhere.
local LAYOUT = ':2'

local function lineage()
  local info = redis.call('INFO', 'replication')
  local at = string.find(info, 'master_replid:', 1, true)
  return (at and string.sub(info, at + 14, at + 53) or 'unknown') .. LAYOUT
end

-- The tenant, with the quotas and the open requests of one of its API keys: it may have many.
local function readQuota(apiKeyId)
  local values = redis.call(
    'HMGET', QUOTA, 'open:' .. apiKeyId, 'quotas:' .. apiKeyId, 'loaded', 'ticket', 'balance', 'credit_limit', 'held',
    'open', 'time_zone', 'daily_quota', 'daily_used', 'daily_period', 'monthly_quota', 'monthly_used',
    'monthly_period', 'rpm_limit', 'tpm_limit'
  )
  return {
    apiKeyId = apiKeyId, openOfKey = values[1] or '', quotasOfKey = values[2] or '', loaded = values[3],
    ticket = values[4], balance = values[5], credit_limit = values[6], held = values[7], open = values[8],
    time_zone = values[9], daily_quota = values[10], daily_used = values[11], daily_period = values[12],
    monthly_quota = values[13], monthly_used = values[14], monthly_period = values[15],
    rpm_limit = values[16], tpm_limit = values[17],
  }
end

local function keepQuota() redis.call('PEXPIRE', QUOTA, IDLE_FOR_MS) end

-- include api-key

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

local VALUES_OF_PROJECTION = 19

-- Takes the projection that begins at ARGV[at], as its quotas of API keys and its values in this order, if it is newer.
-- Without a tenant here it is kept until the snapshot comes, which may have been taken before.
local function project(at)
  local quotas, version, known = ARGV[at], ARGV[at + 1], redis.call('HGET', QUOTA, 'version')
  if quotas ~= '' then projectQuotas(quotas, version) end
  if known and tonumber(known) >= tonumber(version) then return end
  redis.call(
    'HSET', QUOTA, 'version', version, 'balance', ARGV[at + 2], 'credit_limit', ARGV[at + 3],
    'currency', ARGV[at + 4], 'time_zone', ARGV[at + 5],
    'daily_quota', ARGV[at + 6], 'daily_used', ARGV[at + 7], 'daily_period', ARGV[at + 8],
    'monthly_quota', ARGV[at + 9], 'monthly_used', ARGV[at + 10], 'monthly_period', ARGV[at + 11],
    'rpm_limit', ARGV[at + 12], 'tpm_limit', ARGV[at + 13], 'rate_multiplier_ppm', ARGV[at + 14],
    'max_open_requests', ARGV[at + 15], 'block_on_insufficient', ARGV[at + 16],
    'allow_negative', ARGV[at + 17], 'stream_allow_negative', ARGV[at + 18]
  )
  -- What was there has its time already, and each admission gives it more.
  if not known then keepQuota() end
end

local function isSettled(holder, nowMs)
  local untilMs = redis.call('ZSCORE', SETTLED, holder)
  return untilMs and tonumber(untilMs) > nowMs
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
    whole(hold.tokens),
    hold.bucket or NONE,
    hold.apiKeyBucket or NONE,
    hold.apiKeyId,
    hold.holder,
  }, ' ')
end

-- The hold with other values of these names.
local function holdWith(hold, changes)
  local changed = {}
  for name, value in pairs(hold) do changed[name] = value end
  for name, value in pairs(changes) do changed[name] = value end
  return changed
end

local function writeHold(trace, hold) redis.call('HSET', HOLDS, trace, holdText(hold)) end

local function readOpenSums(apiKeyId)
  local values = redis.call('HMGET', QUOTA, 'held', 'open', 'open:' .. apiKeyId)
  return { held = values[1], open = values[2], openOfKey = values[3] }
end

-- Counts one open request less and one more, each of which may be nil, of one API key. With the quota that was read of
-- this API key, what is counted is taken from it and put into it.
local function countOpen(gone, placed, quota)
  local apiKeyId = (gone or placed).apiKeyId
  quota = quota or readOpenSums(apiKeyId)
  local held = quota.held or '0'
  if gone then held = add(held, negate(gone.amount)) end
  if placed then held = add(held, placed.amount) end
  quota.held = held
  quota.open = changeOpen(quota.open, gone, placed)
  quota.openOfKey = changeOpen(quota.openOfKey, gone, placed)
  if quota.openOfKey == '' then
    redis.call('HDEL', QUOTA, 'open:' .. apiKeyId)
    redis.call('HSET', QUOTA, 'held', held, 'open', quota.open)
  else
    redis.call('HSET', QUOTA, 'held', held, 'open', quota.open, 'open:' .. apiKeyId, quota.openOfKey)
  end
end

-- Where none stands under this trace id. `quota` is that of its API key.
local function placeHold(trace, hold, quota)
  writeHold(trace, hold)
  countOpen(nil, hold, quota)
end

local function expireUnconfirmed(trace, nowMs)
  redis.call('ZADD', UNCONFIRMED, whole(nowMs + UNCONFIRMED_FOR_MS), trace)
end

-- The same request's hold in place of the one that stands.
local function replaceHold(trace, standing, hold, quota)
  writeHold(trace, hold)
  if standing.state == CHECKED and hold.state ~= CHECKED then redis.call('ZREM', UNCONFIRMED, trace) end
  if standing.amount ~= hold.amount or standing.tokens ~= hold.tokens then countOpen(standing, hold, quota) end
end

local function dropHold(trace, hold)
  redis.call('HDEL', HOLDS, trace)
  if hold.state == CHECKED then redis.call('ZREM', UNCONFIRMED, trace) end
  countOpen(hold, nil)
end

-- Returns whether there may be more of them.
local function dropUnconfirmed(nowMs)
  local late = redis.call('ZRANGEBYSCORE', UNCONFIRMED, '-inf', whole(nowMs), 'LIMIT', '0', MOST_DROPPED_AT_ONCE)
  for _, trace in ipairs(late) do
    local hold = readHold(trace)
    if hold then dropHold(trace, hold) end
    redis.call('ZREM', UNCONFIRMED, trace)
  end
  return #late == tonumber(MOST_DROPPED_AT_ONCE)
end
