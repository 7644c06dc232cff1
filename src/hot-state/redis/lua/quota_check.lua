-- Admits requests of one API key, one after the other, and places their holds; one that it doesn't admit changes nothing.
-- With a day in ARGV 9 it confirms: the requests' PENDING rows are durable, and their holds now stay until the rows are
-- closed.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled  5 requests and 6 tokens of a minute, of one tenant
--       7 requests and 8 tokens of a minute, of its API key
-- ARGV: 1 time in ms, empty but in tests   2 API key id
--       the caller's period:  3 time zone  4 from ms, inclusive  5 until ms, exclusive  6 day
--       7 month   8 when the month ends, in ms
--       9 the day that the rows count in; empty to check. To confirm, the period is empty, and so are the limits
--       10… nine for each request: trace id, holder, hold in nano; "observe", or empty: limits of money and of requests a
--       day and a month deny; tokens at the most; limits that the call brings along, empty where not set: open requests
--       of the tenant; requests a minute, tokens a minute, open requests, of the API key
-- Result, for each request in their order, strings; what isn't set or isn't known is empty:
--   settled                    the holder was settled a short while ago
--   cold, ticket               the tenant isn't loaded: the ticket is for quota_load
--   period, time zone, ms      the caller's period isn't that of this time: ask again with the right one
--   already_open               another holder has a hold under this trace id; never to a confirmation
--   admitted, day, the limit that it exceeds where it observes, what is left
--   denied, limit, ms until it would pass, what is left
--     what is left: available in nano, requests of the day, of the month; of the tighter minute of requests, and
--     of tokens: its limit, what is left of it, ms until nothing counts; the least that the API key's quotas have
--     left of requests, of tokens, and in nano
-- include decimal
-- include tenant
-- include settle

local nowMs, apiKeyId = timeMs(ARGV[1]), ARGV[2]
local timeZone, fromMs, untilMs, monthEndsMs = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[8])
local durableDay = ARGV[9]
local FIRST_REQUEST, VALUES_OF_REQUEST = 10, 9

-- Of the request that is decided.
local trace, holder, amount, observes, tokens, day, month
local openLimit, rpmLimit, tpmLimit, openLimitOfKey

-- The minutes that have a limit, in the order in which they are looked at, and what counts in them.
local rates, minutes = {}, nil

local function countingInMinutes()
  -- include window
  return { open = openWindow, count = countIn, fitsInMs = fitsInMs, emptiesInMs = emptiesInMs }
end

local function addRate(name, measure, redisKey, limit)
  if limit and limit ~= '' then
    minutes = minutes or countingInMinutes()
    local window = minutes.open(redisKey, nowMs)
    table.insert(rates, { name = name, measure = measure, limit = tonumber(limit), window = window })
  end
end

local function openRates(quota)
  addRate('requests_per_minute', 'requests', KEYS[5], quota.rpm_limit)
  addRate('tokens_per_minute', 'tokens', TENANT_TOKENS, quota.tpm_limit)
  addRate('api_key_requests_per_minute', 'requests', KEYS[7], rpmLimit)
  addRate('api_key_tokens_per_minute', 'tokens', API_KEY_TOKENS, tpmLimit)
end

-- Limit, what is left, and when nothing counts: of the one with the least left, the tenant's own where both have
-- as much.
local function tightest(measure)
  local least
  for _, rate in ipairs(rates) do
    local rest = math.max(0, rate.limit - rate.window.total)
    if rate.measure == measure and (not least or rest < least.rest) then least = { rate = rate, rest = rest } end
  end
  if not least then return '', '', '' end
  return whole(least.rate.limit), whole(least.rest), whole(minutes.emptiesInMs(least.rate.window))
end

-- Of a limit of requests, in the period of which this is the name or its beginning: open requests count as used.
local function left(limit, used, usedIn, period, open)
  if limit == '' then return '' end
  local count = usedIn == period and tonumber(used) or 0
  for _, opened in ipairs(readOpen(open)) do
    if string.sub(opened.day, 1, #period) == period then count = count + tonumber(opened.requests) end
  end
  return whole(math.max(0, tonumber(limit) - count))
end

-- What is left now.
local function remaining(quota)
  return {
    available = add(add(quota.balance, quota.credit_limit), negate(quota.held)),
    daily = left(quota.daily_quota, quota.daily_used, quota.daily_period, day, quota.open),
    monthly = left(quota.monthly_quota, quota.monthly_used, quota.monthly_period, month, quota.open),
    ofKey = quotasLeft(quota.quotasOfKey, quota.openOfKey, day),
  }
end

local function answer(kind, first, second, rest)
  local requests, requestsLeft, requestsMs = tightest('requests')
  local reserved, tokensLeft, tokensMs = tightest('tokens')
  return {
    kind, first, second, rest.available, rest.daily, rest.monthly,
    requests, requestsLeft, requestsMs, reserved, tokensLeft, tokensMs,
    leastLeft(rest.ofKey, 'r'), leastLeft(rest.ofKey, 't'), leastLeft(rest.ofKey, 'a'),
  }
end

local function admitted(hold, quota)
  return answer('admitted', hold.day, hold.exceeded == NONE and '' or hold.exceeded, remaining(quota))
end

-- A limit that stands in the way, and how long it does: nil where no time helps.
local function obstacle(limit, freesInMs) return { limit = limit, freesInMs = freesInMs } end

local function quotaObstacles(rest)
  local found = {}
  -- A tenant that owes more than its credit is stopped even where the request itself is free.
  if isNegative(add(rest.available, negate(amount))) then table.insert(found, obstacle('balance')) end
  if rest.daily == '0' then table.insert(found, obstacle('daily_requests', untilMs and untilMs - nowMs)) end
  if rest.monthly == '0' then
    table.insert(found, obstacle('monthly_requests', monthEndsMs and monthEndsMs - nowMs))
  end
  return found
end

-- Of the API key's own quotas. What isn't added to, has nil in `added`, stands in nobody's way.
local function addKeyObstacles(found, rest, added)
  if #rest.ofKey == 0 then return end
  local KINDS = { 'r', 't', 'a' }
  local LIMIT_OF_KIND = { r = 'api_key_requests', t = 'api_key_tokens', a = 'api_key_amount' }
  local endsMs = { d = untilMs, m = monthEndsMs }
  for _, kind in ipairs(KINDS) do
    for _, quota in ipairs(rest.ofKey) do
      local more = quota.kind == kind and added[kind]
      if more and isNegative(add(quota.left, negate(more))) then
        -- What is more than the whole quota doesn't pass in the next period either.
        local isMost = isNegative(add(quota.total, negate(more)))
        local ends = not isMost and endsMs[quota.period]
        table.insert(found, obstacle(LIMIT_OF_KIND[kind], ends and ends - nowMs or nil))
      end
    end
  end
end

local function addRateObstacles(found, amounts)
  for _, rate in ipairs(rates) do
    local freesInMs = minutes.fitsInMs(rate.window, amounts[rate.measure], rate.limit)
    if freesInMs ~= 0 then table.insert(found, obstacle(rate.name, freesInMs)) end
  end
end

local function openOfKey(quota)
  local count = 0
  for _, open in ipairs(readOpen(quota.openOfKey)) do count = count + tonumber(open.requests) end
  return count
end

local function openObstacles(quota)
  local found = {}
  if openLimit ~= '' and redis.call('HLEN', HOLDS) >= tonumber(openLimit) then
    table.insert(found, obstacle('open_requests'))
  end
  if openLimitOfKey ~= '' and openOfKey(quota) >= tonumber(openLimitOfKey) then
    table.insert(found, obstacle('api_key_open_requests'))
  end
  return found
end

-- The first that stands in the way, and how long until the last of them doesn't any more.
local function denied(found, rest)
  local latestMs = 0
  for _, one in ipairs(found) do
    latestMs = latestMs and one.freesInMs and math.max(latestMs, one.freesInMs)
  end
  return answer('denied', found[1].limit, latestMs and whole(latestMs) or '', rest)
end

-- Counts in every minute that has a limit. Returns the buckets of tokens, of the tenant and of the API key.
local function count()
  local buckets = {}
  for _, rate in ipairs(rates) do
    buckets[rate.name] = minutes.count(rate.window, rate.measure == 'tokens' and tokens or 1)
  end
  return buckets.tokens_per_minute, buckets.api_key_tokens_per_minute
end

-- Every limit, in their order, then the hold.
local function decide(quota)
  local rest = remaining(quota)
  local ofQuota = quotaObstacles(rest)
  local found = observes and {} or { unpack(ofQuota) }
  addRateObstacles(found, { requests = 1, tokens = tokens })
  addKeyObstacles(observes and ofQuota or found, rest, { r = '1', t = whole(tokens), a = amount })
  if #found == 0 then found = openObstacles(quota) end
  if #found > 0 then return denied(found, rest) end
  local hold = { holder = holder, amount = amount, day = day, state = CHECKED, tokens = tokens, apiKeyId = apiKeyId }
  hold.exceeded = ofQuota[1] and ofQuota[1].limit or NONE
  hold.bucket, hold.apiKeyBucket = count()
  placeHold(trace, hold, quota)
  expireUnconfirmed(trace, nowMs)
  keepQuota()
  return admitted(hold, quota)
end

-- Whether more tokens stand in the way in the minutes in which the hold has reserved some.
local function addTokenObstacles(found, standing)
  local more = tokens - standing.tokens
  if more <= 0 then return end
  for _, rate in ipairs(rates) do
    local bucket = rate.name == 'tokens_per_minute' and standing.bucket
      or rate.name == 'api_key_tokens_per_minute' and standing.apiKeyBucket
      or NONE
    local freesInMs = bucket ~= NONE and minutes.fitsInMs(rate.window, more, rate.limit)
    if bucket ~= NONE and freesInMs ~= 0 then table.insert(found, obstacle(rate.name, freesInMs)) end
  end
end

-- Its own hold stands, with the amount of an earlier question or of a late repeat of one: what is asked for now
-- counts, if there is enough for the rest. The request itself is counted already.
local function decideAmount(quota, standing, state)
  local growth = add(amount, negate(standing.amount))
  local rest = remaining(quota)
  local isGrowing = growth ~= '0' and not isNegative(growth)
  local isTooMuch = isGrowing and isNegative(add(rest.available, negate(growth)))
  local found, ofQuota = {}, {}
  if isTooMuch then table.insert(ofQuota, obstacle('balance')) end
  if not observes then found = { unpack(ofQuota) } end
  local wanted = holdWith(standing, { amount = amount, state = state })
  if state == CHECKED then
    addTokenObstacles(found, standing)
    wanted.tokens = tokens
  end
  local moreTokens = wanted.tokens - standing.tokens
  local added = { t = moreTokens > 0 and whole(moreTokens) or nil, a = isGrowing and growth or nil }
  addKeyObstacles(observes and ofQuota or found, rest, added)
  if #found > 0 then return denied(found, rest) end
  if state == CHECKED then
    correctTokens(standing, tokens, nowMs)
    -- What was read of the minutes isn't so any more.
    rates, minutes = {}, nil
    openRates(quota)
  end
  if ofQuota[1] then wanted.exceeded = ofQuota[1].limit end
  replaceHold(trace, standing, wanted, quota)
  if state == CHECKED then expireUnconfirmed(trace, nowMs) end
  keepQuota()
  return admitted(wanted, quota)
end

local function confirm(quota)
  local standing = readHold(trace)
  local isOwn = standing and standing.holder == holder
  if isOwn and standing.state == CONFIRMED then return admitted(standing, quota) end
  if isOwn and standing.state == CHECKED then return decideAmount(quota, standing, CONFIRMED) end
  -- What a snapshot brought back was admitted before a loss of hot state, and what was admitted after it knew
  -- nothing of this hold: the money may not be enough for both. And another's hold under this trace id has no
  -- row, which is unique: it gives way.
  if standing then
    dropHold(trace, standing)
    quota = readQuota(apiKeyId)
  end
  local rest = remaining(quota)
  local obstacles = quotaObstacles(rest)
  addKeyObstacles(obstacles, rest, { r = '1', t = whole(tokens), a = amount })
  if #obstacles > 0 and not observes then return denied({ obstacle(obstacles[1].limit) }, rest) end
  local hold = { holder = holder, amount = amount, day = day, state = CONFIRMED, tokens = tokens, apiKeyId = apiKeyId }
  hold.exceeded = obstacles[1] and obstacles[1].limit or NONE
  placeHold(trace, hold, quota)
  keepQuota()
  return admitted(hold, quota)
end

local function check(quota)
  if quota.time_zone ~= timeZone or nowMs < fromMs or nowMs >= untilMs then
    return { 'period', quota.time_zone, whole(nowMs) }
  end
  openRates(quota)
  -- A clock that stepped back over midnight must not open a day again that the ledger has closed.
  if quota.daily_period > day then
    day = quota.daily_period
    month = string.sub(day, 1, 7)
  end
  local standing = readHold(trace)
  if standing and standing.holder ~= holder then return { 'already_open' } end
  if not standing then return decide(quota) end
  -- With its row durable only a late repeat asks.
  if standing.state ~= CHECKED then return admitted(standing, quota) end
  return decideAmount(quota, standing, CHECKED)
end

local function takeRequest(at)
  trace, holder, amount = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  observes, tokens = ARGV[at + 3] == 'observe', tonumber(ARGV[at + 4])
  openLimit, rpmLimit, tpmLimit, openLimitOfKey = ARGV[at + 5], ARGV[at + 6], ARGV[at + 7], ARGV[at + 8]
  day, month = ARGV[6], ARGV[7]
  if durableDay ~= '' then day, month = durableDay, string.sub(durableDay, 1, 7) end
  rates = {}
end

-- The tenant, read once: what is placed is counted in it as well, so that it is as it would be read anew for each
-- request; where more holds are late than are dropped at once it is read anew, and more of them are dropped. And
-- what is answered where it isn't loaded, with one ticket for all.
local quota, cold, mayBeMoreLate

local function readTenant()
  mayBeMoreLate = dropUnconfirmed(nowMs)
  quota = readQuota(apiKeyId)
  if quota.loaded ~= lineage() then cold = { 'cold', ticketFor(quota.ticket, nowMs) } end
end

local function decideRequest()
  if isSettled(holder, nowMs) then return { 'settled' } end
  if not quota or mayBeMoreLate then readTenant() end
  if cold then return cold end
  if durableDay == '' then return check(quota) end
  local answer = confirm(quota)
  -- It may have dropped the hold of another API key.
  quota = nil
  return answer
end

local answers = {}
for at = FIRST_REQUEST, #ARGV, VALUES_OF_REQUEST do
  takeRequest(at)
  table.insert(answers, decideRequest())
end
return answers
