-- Rolling minutes, as src/domain/rolling-window.ts describes them: a hash of counts by bucket, with `total`, the
-- `first` and the `last` bucket that count, and `ahead`, by how many milliseconds the window's own time is ahead
-- of the clock; and its `life` since it was last empty: afterwards a clock that stepped back names its buckets alike.
local BUCKET_MS, WINDOW_MS = 500, 60000
-- A window that nobody asks for is gone soon after all of it has left.
local WINDOW_KEPT_MS = 2 * WINDOW_MS

-- When, in the window's own time, what counts in this bucket has left.
local function leavesAtMs(bucket) return (bucket + 1) * BUCKET_MS + WINDOW_MS end

-- As they were read, for as long as nothing changes in them: each of several requests that are denied looks at all.
local readCounts = {}

local function countsOf(redisKey)
  if readCounts[redisKey] then return readCounts[redisKey] end
  local flat, counts = redis.call('HGETALL', redisKey), {}
  readCounts[redisKey] = counts
  for at = 1, #flat, 2 do
    local bucket = tonumber(flat[at])
    if bucket then counts[bucket] = tonumber(flat[at + 1]) end
  end
  return counts
end

local function forgetLeft(window, nowMs)
  readCounts[window.redisKey] = nil
  if leavesAtMs(window.last) <= window.ownMs then
    redis.call('DEL', window.redisKey)
    window.total, window.first, window.last, window.life, window.ownMs = 0, nil, nil, nil, nowMs
    return
  end
  local first = window.last
  for bucket, count in pairs(countsOf(window.redisKey)) do
    if leavesAtMs(bucket) <= window.ownMs then
      redis.call('HDEL', window.redisKey, whole(bucket))
      window.total = window.total - count
    elseif bucket < first then
      first = bucket
    end
  end
  window.first = first
  readCounts[window.redisKey] = nil
  redis.call('HSET', window.redisKey, 'total', whole(window.total), 'first', whole(first))
end

-- The window at this time; without a first and a last bucket where nothing counts.
local function openWindow(redisKey, nowMs)
  local window = { redisKey = redisKey, total = 0, ownMs = nowMs }
  local known = redis.call('HMGET', redisKey, 'total', 'first', 'last', 'ahead', 'life')
  if not known[1] then return window end
  window.total, window.first, window.last = tonumber(known[1]), tonumber(known[2]), tonumber(known[3])
  window.life = known[5]
  local ahead = tonumber(known[4])
  if math.floor((nowMs + ahead) / BUCKET_MS) < window.last then
    ahead = window.last * BUCKET_MS - nowMs
    redis.call('HSET', redisKey, 'ahead', whole(ahead))
  end
  window.ownMs = nowMs + ahead
  if leavesAtMs(window.first) <= window.ownMs then forgetLeft(window, nowMs) end
  return window
end

-- Returns where it was counted, to correct it later.
local function countIn(window, amount)
  local bucket = math.floor(window.ownMs / BUCKET_MS)
  readCounts[window.redisKey] = nil
  redis.call('HINCRBY', window.redisKey, whole(bucket), whole(amount))
  if not window.first then
    local time = redis.call('TIME')
    window.first, window.life = bucket, time[1] .. '.' .. time[2]
    redis.call('HSET', window.redisKey, 'first', whole(bucket), 'ahead', '0', 'life', window.life)
  end
  window.total, window.last = window.total + amount, bucket
  redis.call('HSET', window.redisKey, 'total', whole(window.total), 'last', whole(bucket))
  redis.call('PEXPIRE', window.redisKey, WINDOW_KEPT_MS)
  return whole(bucket) .. '/' .. window.life
end

-- What was counted turned out to be more or less. What has left the window stays as it was.
local function correctIn(window, place, change)
  local bucket, life = string.match(place, '^(%d+)/(.*)$')
  if change == 0 or life ~= window.life or redis.call('HEXISTS', window.redisKey, bucket) == 0 then return end
  readCounts[window.redisKey] = nil
  redis.call('HINCRBY', window.redisKey, bucket, whole(change))
  window.total = window.total + change
  redis.call('HSET', window.redisKey, 'total', whole(window.total))
end

-- How long until the amount fits under the limit if nothing else comes; nil where it never does.
local function fitsInMs(window, amount, limit)
  if amount > limit then return nil end
  local left = window.total
  if left + amount <= limit then return 0 end
  local counts = countsOf(window.redisKey)
  for bucket = window.first, window.last do
    left = left - (counts[bucket] or 0)
    if counts[bucket] and left + amount <= limit then return leavesAtMs(bucket) - window.ownMs end
  end
  return nil
end

-- How long until nothing counts any more if nothing else comes.
local function emptiesInMs(window)
  return window.total == 0 and 0 or leavesAtMs(window.last) - window.ownMs
end
