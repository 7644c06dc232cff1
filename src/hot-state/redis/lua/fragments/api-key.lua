-- Open requests, and the quotas of API keys, as src/hot-state/redis/keys.ts describes them.
local QUOTAS_OF, OPEN_OF = 'quotas:', 'open:'

-- Of an amount, a period or a total that isn't there.
local NOT_SET = '-'

-- Open requests by the day that they count in.
local function readOpen(text)
  local days = {}
  for day, requests, tokens, amount in string.gmatch(text or '', '(%S+) (%d+) (%d+) (%-?%d+);') do
    table.insert(days, { day = day, requests = requests, tokens = tokens, amount = amount })
  end
  return days
end

local function openText(days)
  local texts = {}
  for _, open in ipairs(days) do
    if open.requests ~= '0' then
      table.insert(texts, table.concat({ open.day, open.requests, open.tokens, open.amount }, ' ') .. ';')
    end
  end
  return table.concat(texts)
end

local function dayOf(days, day)
  for _, open in ipairs(days) do
    if open.day == day then return open end
  end
  local open = { day = day, requests = '0', tokens = '0', amount = '0' }
  table.insert(days, open)
  return open
end

-- The text with one hold less, and one more; either may be nil.
local function changeOpen(text, gone, placed)
  local days = readOpen(text)
  if gone then
    local open = dayOf(days, gone.day)
    open.requests = add(open.requests, '-1')
    open.tokens = add(open.tokens, negate(whole(gone.tokens)))
    open.amount = add(open.amount, negate(gone.amount))
  end
  if placed then
    local open = dayOf(days, placed.day)
    open.requests = add(open.requests, '1')
    open.tokens = add(open.tokens, whole(placed.tokens))
    open.amount = add(open.amount, placed.amount)
  end
  return openText(days)
end

-- The first day of the period in which a day is, by the period's code.
local function firstDay(code, day)
  if code == 'd' then return day end
  if code == 'm' then return string.sub(day, 1, 7) .. '-01' end
  return NOT_SET
end

-- By type (r, t, a) and period (d, m, n).
local function readQuotas(text)
  local quotas = {}
  for kind, period, version, total, used, since in
    string.gmatch(text or '', '(%a)(%a) (%d+) (%S+) (%S+) (%S+);')
  do
    table.insert(quotas, {
      kind = kind, period = period, version = version, total = total, used = used, since = since,
    })
  end
  return quotas
end

local function quotasText(quotas)
  local texts = {}
  for _, one in ipairs(quotas) do
    local text = table.concat({ one.kind .. one.period, one.version, one.total, one.used, one.since }, ' ')
    table.insert(texts, text .. ';')
  end
  return table.concat(texts)
end

local function projectQuota(quotas, told)
  for at, one in ipairs(quotas) do
    if one.kind == told.kind and one.period == told.period then
      if tonumber(one.version) < tonumber(told.version) then quotas[at] = told end
      return
    end
  end
  table.insert(quotas, told)
end

-- Takes each quota that is newer than what is known: [[API key id, type and period, total, used, since], …] in JSON.
-- One that was taken away stays as such, so that an older projection doesn't bring it back.
local function projectQuotas(json, version)
  local ofKeys = {}
  for _, told in ipairs(cjson.decode(json)) do
    local apiKeyId, code, total, used, since = unpack(told)
    ofKeys[apiKeyId] = ofKeys[apiKeyId] or readQuotas(redis.call('HGET', QUOTA, QUOTAS_OF .. apiKeyId) or '')
    projectQuota(ofKeys[apiKeyId], {
      kind = string.sub(code, 1, 1), period = string.sub(code, 2, 2), version = version,
      total = total, used = used, since = since,
    })
  end
  for apiKeyId, quotas in pairs(ofKeys) do
    redis.call('HSET', QUOTA, QUOTAS_OF .. apiKeyId, quotasText(quotas))
  end
  keepQuota()
end

-- What the quotas that are set have left, open requests counted: {kind, period, total, left}.
local function quotasLeft(quotas, open, day)
  if quotas == '' then return {} end
  local left, days = {}, readOpen(open)
  for _, quota in ipairs(readQuotas(quotas)) do
    if quota.total ~= NOT_SET then
      local first = firstDay(quota.period, day)
      local rest = add(quota.total, negate(quota.since == first and quota.used or '0'))
      for _, opened in ipairs(days) do
        local reserved = quota.kind == 'r' and opened.requests or quota.kind == 't' and opened.tokens or opened.amount
        if firstDay(quota.period, opened.day) == first then rest = add(rest, negate(reserved)) end
      end
      table.insert(left, { kind = quota.kind, period = quota.period, total = quota.total, left = rest })
    end
  end
  return left
end

-- The least of a kind; an empty string where there is no such quota.
local function leastLeft(left, kind)
  local least = ''
  for _, one in ipairs(left) do
    local isLess = least ~= '' and isNegative(add(one.left, negate(least)))
    if one.kind == kind and (least == '' or isLess) then least = one.left end
  end
  return least
end
