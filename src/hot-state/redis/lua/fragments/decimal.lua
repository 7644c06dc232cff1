-- Whole numbers as decimal strings, exact at any length. Lua's own numbers are exact to 2^53 only, and
-- HINCRBY to 2^63, which is less than the ledger's NUMERIC(20,9) holds. Canonical: "-5", "0", "12".

-- Two numbers of so many digits add up below 2^53.
local CHUNK_DIGITS = 14
local MINUS = 45

local function isNegative(number) return string.byte(number) == MINUS end

local function negate(number)
  if isNegative(number) then return string.sub(number, 2) end
  return number == '0' and number or '-' .. number
end

local function addLong(a, b)
  -- include decimal-long
  local aSign, aDigits = signAndDigits(a)
  local bSign, bDigits = signAndDigits(b)
  if aSign ~= bSign and isSmaller(aDigits, bDigits) then
    aSign, aDigits, bSign, bDigits = bSign, bDigits, aSign, aDigits
  end
  local sum = combine(aDigits, bDigits, aSign == bSign and 1 or -1)
  return aSign == -1 and negate(sum) or sum
end

local function add(a, b)
  if #a <= CHUNK_DIGITS and #b <= CHUNK_DIGITS then return string.format('%.0f', tonumber(a) + tonumber(b)) end
  return addLong(a, b)
end
