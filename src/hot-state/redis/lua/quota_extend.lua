-- Enlarges a hold to what its stream may cost by now, or changes nothing. A hold that was lost is placed anew,
-- with the whole amount; what a snapshot brought back is enlarged.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled  5 open  6 requests and 7 tokens of a minute, of one tenant
--       8 requests and 9 tokens of a minute, of its API key
-- ARGV: 1 time in ms, empty but in tests   2 trace id   3 holder
--       4 the whole hold in nano, not what is added: a repeat adds nothing   5 the day that the request counts in
--       6 API key id
-- Result, strings:
--   settled                         the holder was settled a short while ago
--   cold, ticket                    the tenant isn't loaded: the ticket is for quota_load
--   extended, available in nano     also where the hold was as large before
--   denied, available in nano
-- include decimal
-- include tenant

local nowMs, trace, holder, amount, day = timeMs(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]

if isSettled(holder, nowMs) then return { 'settled' } end
dropUnconfirmed(nowMs)
local quota = readQuota()
if quota.loaded ~= lineage() then return { 'cold', ticketFor(quota.ticket, nowMs) } end

local standing = readHold(trace)
local isOwn = standing and standing.holder == holder
local growth = add(amount, negate(isOwn and standing.amount or '0'))
local available = add(add(quota.balance, quota.credit_limit), negate(quota.held))
if isOwn and (growth == '0' or isNegative(growth)) then return { 'extended', available } end
local left = add(available, negate(growth))
if isNegative(left) then return { 'denied', available } end
if isOwn then
  standing.amount, standing.state = amount, CONFIRMED
  replaceHold(trace, standing, growth)
else
  -- Another's hold under this trace id has no row, which is unique: it gives way.
  if standing then
    dropHold(trace, standing)
    left = add(left, standing.amount)
  end
  placeHold(trace, { holder = holder, amount = amount, day = day, state = CONFIRMED, apiKeyId = ARGV[6] })
end
keepQuota()
return { 'extended', left }
