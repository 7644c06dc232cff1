-- What numbers take that are longer than Lua's own are exact.
local CHUNK_BASE = 1e14

local function signAndDigits(number)
  if isNegative(number) then return -1, string.sub(number, 2) end
  return 1, number
end

-- The chunk whose last digit has `skipped` digits to its right.
local function chunkAt(digits, skipped)
  local last = #digits - skipped
  if last < 1 then return 0 end
  return tonumber(string.sub(digits, math.max(1, last - CHUNK_DIGITS + 1), last))
end

-- Compared by numbers: Redis compares strings by the server's locale.
local function isSmaller(a, b)
  if #a ~= #b then return #a < #b end
  for at = 1, #a, CHUNK_DIGITS do
    local x = tonumber(string.sub(a, at, at + CHUNK_DIGITS - 1))
    local y = tonumber(string.sub(b, at, at + CHUNK_DIGITS - 1))
    if x ~= y then return x < y end
  end
  return false
end

-- a + b, or a - b where `direction` is -1 and a isn't the smaller; both without a sign.
local function combine(a, b, direction)
  local result, carry = '', 0
  for skipped = 0, math.max(#a, #b) - 1, CHUNK_DIGITS do
    local sum = chunkAt(a, skipped) + direction * chunkAt(b, skipped) + carry
    carry = 0
    if sum >= CHUNK_BASE then
      sum, carry = sum - CHUNK_BASE, 1
    elseif sum < 0 then
      sum, carry = sum + CHUNK_BASE, -1
    end
    result = string.format('%014.0f', sum) .. result
  end
  if carry == 1 then result = '1' .. result end
  result = string.gsub(result, '^0+', '')
  return result == '' and '0' or result
end
