-- Of the tenant, and of the API key of this request.
local TENANT_TOKENS, API_KEY_TOKENS = KEYS[6], KEYS[8]

-- The tokens that were used take the place of those that the hold reserved.
local function correctTokens(hold, tokens, nowMs)
  if hold.bucket == NONE and hold.apiKeyBucket == NONE then return end
  -- include window
  local change = tokens - hold.tokens
  local function correct(redisKey, bucket)
    if bucket ~= NONE then correctIn(openWindow(redisKey, nowMs), bucket, change) end
  end
  correct(TENANT_TOKENS, hold.bucket)
  correct(API_KEY_TOKENS, hold.apiKeyBucket)
end

-- Removes the hold if it is this holder's, and remembers that the request is settled in any case. Tokens are an
-- empty string where it isn't known how many were used.
local function settle(trace, holder, tokens, nowMs)
  redis.call('ZREMRANGEBYSCORE', SETTLED, '-inf', whole(nowMs))
  redis.call('ZADD', SETTLED, whole(nowMs + SETTLED_FOR_MS), holder)
  -- An idle tenant's goes as a whole; twice as long, since a clock may step.
  redis.call('PEXPIRE', SETTLED, 2 * SETTLED_FOR_MS)
  local hold = readHold(trace)
  if not hold or hold.holder ~= holder then return end
  if tokens ~= '' then correctTokens(hold, tonumber(tokens), nowMs) end
  dropHold(trace, hold)
end
