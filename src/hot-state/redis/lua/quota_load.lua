-- Fills a cold tenant: its open pendings become holds. A tenant that is loaded, and one whose ticket is not the
-- caller's or too old, takes a newer projection only.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled  5 open, of one tenant
-- ARGV: 1 time in ms, empty but in tests   2 the ticket, from before the snapshot was taken
--       3 the open pendings, in JSON: [[trace id, holder, hold in nano as a string, day, API key id], …]; there may be more of
--         them than a command can have arguments   4… the projection as names and values, the version first
-- Result: nothing.
-- include decimal
-- include tenant

local nowMs = timeMs(ARGV[1])
local givenMs, ticket = string.match(ARGV[2], '^(%d+) (.*)$')
project(4, #ARGV)
local quota, life = readQuota(), lineage()
if quota.loaded == life or quota.ticket ~= ticket or string.sub(ticket, 1, #life) ~= life then return end
if nowMs - tonumber(givenMs) > LOAD_WITHIN_MS then return end
-- Holds from before are of another life of the tenant.
redis.call('DEL', HOLDS, UNCONFIRMED, OPEN)
for name in pairs(quota) do
  if string.sub(name, 1, 5) == 'open:' then redis.call('HDEL', QUOTA, name) end
end
redis.call('HDEL', QUOTA, 'ticket')
local nothingSettled = redis.call('ZCARD', SETTLED) == 0
local held, openInDay, openOfKey = '0', {}, {}
-- So many at a time are written: a command takes no more arguments than Lua's stack holds.
local PAIRS_AT_ONCE, pairsToWrite = 1000, {}

local function write()
  if #pairsToWrite > 0 then redis.call('HSET', HOLDS, unpack(pairsToWrite)) end
  pairsToWrite = {}
end

for _, pending in ipairs(cjson.decode(ARGV[3])) do
  local trace, holder, amount, day, apiKeyId = unpack(pending)
  -- Settled after the snapshot was taken: its hold would never be released again.
  if nothingSettled or not isSettled(holder, nowMs) then
    local hold = { holder = holder, amount = amount, day = day, state = LOADED, apiKeyId = apiKeyId }
    pairsToWrite[#pairsToWrite + 1] = trace
    pairsToWrite[#pairsToWrite + 1] = holdText(hold)
    if #pairsToWrite >= 2 * PAIRS_AT_ONCE then write() end
    held = add(held, amount)
    openInDay[day] = (openInDay[day] or 0) + 1
    openOfKey[apiKeyId] = (openOfKey[apiKeyId] or 0) + 1
  end
end
write()
for day, count in pairs(openInDay) do redis.call('HSET', QUOTA, 'open:' .. day, count) end
for apiKeyId, count in pairs(openOfKey) do redis.call('HSET', OPEN, apiKeyId, count) end
redis.call('HSET', QUOTA, 'loaded', life, 'held', held)
