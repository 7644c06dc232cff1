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
local held, openInDay, openOfKey = '0', {}, {}
for _, pending in ipairs(cjson.decode(ARGV[3])) do
  local trace, holder, amount, day, apiKeyId = unpack(pending)
  -- Settled after the snapshot was taken: its hold would never be released again.
  if not isSettled(holder, nowMs) then
    writeHold(trace, { holder = holder, amount = amount, day = day, state = LOADED, apiKeyId = apiKeyId })
    held = add(held, amount)
    openInDay[day] = (openInDay[day] or 0) + 1
    openOfKey[apiKeyId] = (openOfKey[apiKeyId] or 0) + 1
  end
end
for day, count in pairs(openInDay) do redis.call('HSET', QUOTA, 'open:' .. day, count) end
for apiKeyId, count in pairs(openOfKey) do redis.call('HSET', OPEN, apiKeyId, count) end
redis.call('HSET', QUOTA, 'loaded', life, 'held', held)
