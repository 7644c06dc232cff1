-- Whole numbers as decimal strings, exact at any length. Lua's own numbers are exact to 2^53 only, and
-- HINCRBY to 2^63, which is less than the ledger's NUMERIC(20,9) holds. Canonical: "-5", "0", "12".

-- Two numbers of so many digits add up below 2^53.
local CHUNK_DIGITS, CHUNK_BASE = 14, 1e14

local function signAndDigits(number)
  if string.sub(number, 1, 1) == '-' then return -1, string.sub(number, 2) end
  return 1, number
end

local function negate(number)
  local sign, digits = signAndDigits(number)
  if sign == -1 or digits == '0' then return digits end
  return '-' .. digits
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

local function add(a, b)
  if #a <= CHUNK_DIGITS and #b <= CHUNK_DIGITS then return string.format('%.0f', tonumber(a) + tonumber(b)) end
  local aSign, aDigits = signAndDigits(a)
  local bSign, bDigits = signAndDigits(b)
  if aSign ~= bSign and isSmaller(aDigits, bDigits) then
    aSign, aDigits, bSign, bDigits = bSign, bDigits, aSign, aDigits
  end
  local sum = combine(aDigits, bDigits, aSign == bSign and 1 or -1)
  return aSign == -1 and negate(sum) or sum
end

local function isNegative(number) return string.sub(number, 1, 1) == '-' end
