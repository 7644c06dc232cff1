-- Admits a request and places its hold, or changes nothing. With a day in ARGV 10 it confirms: the request's
-- PENDING row is durable, and its hold now stays until the row is closed.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled, of one tenant
-- ARGV: 1 time in ms, empty but in tests   2 trace id   3 holder   4 hold in nano
--       the caller's period:   5 time zone   6 from ms, inclusive   7 until ms, exclusive   8 day   9 month
--       10 the day that the row counts in; empty to check, and 5 to 9 are empty to confirm
-- Result, strings; a limit that isn't set leaves an empty string:
--   settled                    the holder was settled a short while ago
--   cold, ticket               the tenant isn't loaded: the ticket is for quota_load
--   period, time zone, ms      the caller's period isn't that of this time: ask again with the right one
--   already_open               another holder has a hold under this trace id; never to a confirmation
--   admitted, day, available in nano, requests left in the day, in the month
--   denied, limit, available in nano, requests left in the day, in the month
-- include decimal
-- include tenant

local nowMs, trace, holder, amount = timeMs(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local timeZone, fromMs, untilMs, day, month = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]
local isDurable = ARGV[10] ~= ''

local function left(limit, used)
  return limit == '' and '' or whole(math.max(0, tonumber(limit) - used))
end

-- What is left now: open requests count as used.
local function remaining(quota)
  local openInDay, openInMonth = tonumber(quota['open:' .. day] or 0), 0
  for name, count in pairs(quota) do
    if string.sub(name, 1, 5 + #month) == 'open:' .. month then openInMonth = openInMonth + tonumber(count) end
  end
  local usedInDay = quota.daily_period == day and tonumber(quota.daily_used) or 0
  local usedInMonth = quota.monthly_period == month and tonumber(quota.monthly_used) or 0
  return add(add(quota.balance, quota.credit_limit), negate(quota.held)),
    left(quota.daily_quota, usedInDay + openInDay),
    left(quota.monthly_quota, usedInMonth + openInMonth)
end

local function admitted(countedIn) return { 'admitted', countedIn, remaining(readQuota()) } end

-- Every limit, in their order, then the hold.
local function decide(quota, state)
  local available, daily, monthly = remaining(quota)
  -- A tenant that owes more than its credit is stopped even where the request itself is free.
  if isNegative(add(available, negate(amount))) then return { 'denied', 'balance', available, daily, monthly } end
  if daily == '0' then return { 'denied', 'daily_requests', available, daily, monthly } end
  if monthly == '0' then return { 'denied', 'monthly_requests', available, daily, monthly } end
  placeHold(trace, holder, amount, day, state)
  if state == CHECKED then expireUnconfirmed(trace, nowMs) end
  keepQuota()
  return admitted(day)
end

-- Its own hold stands, with the amount of an earlier question or of a late repeat of one: what is asked for now
-- counts, if the money is there for the rest. The request itself is counted already.
local function decideAmount(quota, standing, state)
  local growth = add(amount, negate(standing.amount))
  local available, daily, monthly = remaining(quota)
  local isGrowing = growth ~= '0' and not isNegative(growth)
  if isGrowing and isNegative(add(available, negate(growth))) then
    return { 'denied', 'balance', available, daily, monthly }
  end
  resizeHold(trace, standing, amount, growth, state)
  if state == CHECKED then expireUnconfirmed(trace, nowMs) end
  keepQuota()
  return admitted(standing.day)
end

local function confirm()
  local standing = readHold(trace)
  local isOwn = standing and standing.holder == holder
  if isOwn and standing.state == CONFIRMED then return admitted(standing.day) end
  if isOwn and standing.state == CHECKED then return decideAmount(readQuota(), standing, CONFIRMED) end
  -- What a snapshot brought back was admitted before a loss of hot state, and what was admitted after it knew
  -- nothing of this hold: the money may not be enough for both. And another's hold under this trace id has no
  -- row, which is unique: it gives way.
  if standing then dropHold(trace, standing) end
  return decide(readQuota(), CONFIRMED)
end

local function check(quota)
  if quota.time_zone ~= timeZone or nowMs < fromMs or nowMs >= untilMs then
    return { 'period', quota.time_zone, whole(nowMs) }
  end
  -- A clock that stepped back over midnight must not open a day again that the ledger has closed.
  if quota.daily_period > day then
    day = quota.daily_period
    month = string.sub(day, 1, 7)
  end
  local standing = readHold(trace)
  if standing and standing.holder ~= holder then return { 'already_open' } end
  if not standing then return decide(quota, CHECKED) end
  -- With its row durable only a late repeat asks.
  if standing.state ~= CHECKED then return admitted(standing.day) end
  return decideAmount(quota, standing, CHECKED)
end

if isSettled(holder, nowMs) then return { 'settled' } end
dropUnconfirmed(nowMs)
local quota = readQuota()
if quota.loaded ~= lineage() then return { 'cold', ticketFor(quota.ticket, holder, nowMs) } end
if not isDurable then return check(quota) end
day, month = ARGV[10], string.sub(ARGV[10], 1, 7)
return confirm()
