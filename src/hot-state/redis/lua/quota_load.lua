-- Fills a cold tenant: its open pendings become holds. A tenant that is loaded, and one whose ticket is not the
-- caller's or too old, takes a newer projection only.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled, of one tenant
-- ARGV: 1 time in ms, empty but in tests   2 the ticket, from before the snapshot was taken
--       3 the open pendings, in JSON: [[trace id, holder, hold in nano as a string, day, API key id, tokens], …]; there may be
--         more of them than a command can have arguments
--       4 the quotas of all API keys, as fragments/api-key.lua takes them
--       5… the projection, as fragments/tenant.lua takes it
-- Result: nothing.
-- include decimal
-- include tenant

local nowMs = timeMs(ARGV[1])
local givenMs, ticket = string.match(ARGV[2], '^(%d+) (.*)$')
project(4)
local life = lineage()
local loaded, standing = unpack(redis.call('HMGET', QUOTA, 'loaded', 'ticket'))
if loaded == life or standing ~= ticket or string.sub(ticket, 1, #life) ~= life then return end
if nowMs - tonumber(givenMs) > LOAD_WITHIN_MS then return end

-- A quota that the snapshot doesn't tell, and that isn't newer than it, isn't there any more.
local function forgetQuotas(name)
  local newer = {}
  for _, one in ipairs(readQuotas(redis.call('HGET', QUOTA, name))) do
    if tonumber(one.version) > tonumber(ARGV[5]) then table.insert(newer, one) end
  end
  redis.call('HDEL', QUOTA, name)
  if #newer > 0 then redis.call('HSET', QUOTA, name, quotasText(newer)) end
end

local pendings = cjson.decode(ARGV[3])

-- Holds from before are of another life of the tenant, and their rows say only with what they began.
if redis.call('HLEN', HOLDS) > 0 then
  for _, pending in ipairs(pendings) do
    local before, rowAmount = readHold(pending[1]), pending[3]
    local isOwn = before and before.holder == pending[2] and before.state ~= CHECKED
    if isOwn and isNegative(add(rowAmount, negate(before.amount))) then pending[3] = before.amount end
  end
end
redis.call('DEL', HOLDS, UNCONFIRMED)
for _, name in ipairs(redis.call('HKEYS', QUOTA)) do
  if string.sub(name, 1, #OPEN_OF) == OPEN_OF then redis.call('HDEL', QUOTA, name) end
  if string.sub(name, 1, #QUOTAS_OF) == QUOTAS_OF then forgetQuotas(name) end
end
redis.call('HDEL', QUOTA, 'ticket')
if ARGV[4] ~= '' then projectQuotas(ARGV[4], ARGV[5]) end
local nothingSettled = redis.call('ZCARD', SETTLED) == 0
-- Open requests by day, of the tenant and of each API key.
local held, openOfTenant, openOfKeys = '0', {}, {}
-- So many at a time are written: a command takes no more arguments than Lua's stack holds.
local PAIRS_AT_ONCE, pairsToWrite = 1000, {}

local function write()
  if #pairsToWrite > 0 then redis.call('HSET', HOLDS, unpack(pairsToWrite)) end
  pairsToWrite = {}
end

local function count(days, hold)
  local open = dayOf(days, hold.day)
  open.requests = add(open.requests, '1')
  open.tokens = add(open.tokens, whole(hold.tokens))
  open.amount = add(open.amount, hold.amount)
end

for _, pending in ipairs(pendings) do
  local trace, holder, amount, day, apiKeyId, tokens = unpack(pending)
  -- Settled after the snapshot was taken: its hold would never be released again.
  if nothingSettled or not isSettled(holder, nowMs) then
    local hold = { holder = holder, amount = amount, day = day, state = LOADED, tokens = tokens, apiKeyId = apiKeyId }
    pairsToWrite[#pairsToWrite + 1] = trace
    pairsToWrite[#pairsToWrite + 1] = holdText(hold)
    if #pairsToWrite >= 2 * PAIRS_AT_ONCE then write() end
    held = add(held, amount)
    openOfKeys[apiKeyId] = openOfKeys[apiKeyId] or {}
    count(openOfTenant, hold)
    count(openOfKeys[apiKeyId], hold)
  end
end
write()
for apiKeyId, days in pairs(openOfKeys) do redis.call('HSET', QUOTA, OPEN_OF .. apiKeyId, openText(days)) end
redis.call('HSET', QUOTA, 'loaded', life, 'held', held, 'open', openText(openOfTenant))
