-- Enlarges a hold to what its stream may cost by now, or changes nothing. A hold that was lost is placed anew,
-- with the whole amount; what a snapshot brought back is enlarged.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled  5 requests and 6 tokens of a minute, of one tenant
--       7 requests and 8 tokens of a minute, of its API key
-- ARGV: 1 time in ms, empty but in tests   2 trace id   3 holder
--       4 the whole hold in nano, not what is added: a repeat adds nothing   5 the day that the request counts in
--       6 API key id   7 its tokens at the most, for a hold that was lost
-- Result, strings:
--   settled                         the holder was settled a short while ago
--   cold, ticket                    the tenant isn't loaded: the ticket is for quota_load
--   extended, what it may grow by besides, in nano     also where the hold was as large before
--   denied, which stands in the way, balance or api_key_amount, and what it may grow by
-- include decimal
-- include tenant

local nowMs, trace, holder, amount, day = timeMs(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local apiKeyId, tokens = ARGV[6], tonumber(ARGV[7])

if isSettled(holder, nowMs) then return { 'settled' } end
dropUnconfirmed(nowMs)
local quota = readQuota(apiKeyId)
if quota.loaded ~= lineage() then return { 'cold', ticketFor(quota.ticket, nowMs) } end

-- The balance, or an amount that the API key may spend: whichever has less left.
local function spendable(ofDay)
  local ofTenant = add(add(quota.balance, quota.credit_limit), negate(quota.held))
  local ofKey = leastLeft(quotasLeft(quota.quotasOfKey, quota.openOfKey, ofDay), 'a')
  if ofKey ~= '' and isNegative(add(ofKey, negate(ofTenant))) then return 'api_key_amount', ofKey end
  return 'balance', ofTenant
end

local standing = readHold(trace)
local isOwn = standing and standing.holder == holder
local ofDay = isOwn and standing.day or day
local growth = add(amount, negate(isOwn and standing.amount or '0'))
local limit, available = spendable(ofDay)
if isOwn and (growth == '0' or isNegative(growth)) then return { 'extended', available } end
if isNegative(add(available, negate(growth))) then return { 'denied', limit, available } end
if isOwn then
  local hold = holdWith(standing, { amount = amount, state = CONFIRMED })
  replaceHold(trace, standing, hold, quota)
else
  -- Another's hold under this trace id has no row, which is unique: it gives way.
  if standing then
    dropHold(trace, standing)
    quota = readQuota(apiKeyId)
  end
  local hold = { holder = holder, amount = amount, day = day, state = CONFIRMED, tokens = tokens, apiKeyId = apiKeyId }
  placeHold(trace, hold, quota)
end
keepQuota()
local _, left = spendable(ofDay)
return { 'extended', left }
