-- Admits a request and places its hold, or changes nothing.
--
-- KEYS: 1 quota  2 holds  3 settled, of one tenant
-- ARGV: 1 time in ms, empty but in tests   2 trace id   3 holder   4 hold in nano
--       the caller's period:   5 time zone   6 from ms, inclusive   7 until ms, exclusive   8 day   9 month
-- Result, strings; a limit that isn't set leaves an empty string:
--   settled                    the holder was settled a short while ago
--   cold                       the tenant isn't loaded
--   period, time zone, ms      the caller's period isn't that of this time: ask again with the right one
--   already_open               another holder has a hold under this trace id
--   admitted, day, available in nano, requests left in the day, in the month
--   denied, limit, available in nano, requests left in the day, in the month
-- include decimal
-- include tenant

local function left(limit, used)
  return limit == '' and '' or whole(math.max(0, tonumber(limit) - used))
end

-- What is left now: open requests count as used.
local function remaining(quota, day, month)
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

local nowMs, trace, holder, amount = timeMs(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local timeZone, fromMs, untilMs, day, month = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]

if isSettled(holder, nowMs) then return { 'settled' } end
local quota = readQuota()
if not quota.loaded then return { 'cold' } end
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
if standing then return { 'admitted', standing.day, remaining(quota, day, month) } end

local available, daily, monthly = remaining(quota, day, month)
-- A tenant that owes more than its credit is stopped even where the request itself is free.
if isNegative(add(available, negate(amount))) then return { 'denied', 'balance', available, daily, monthly } end
if daily == '0' then return { 'denied', 'daily_requests', available, daily, monthly } end
if monthly == '0' then return { 'denied', 'monthly_requests', available, daily, monthly } end
placeHold(trace, holder, amount, day)
return { 'admitted', day, remaining(readQuota(), day, month) }
