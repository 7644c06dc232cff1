#!lua flags=allow-oom
-- Takes each projection if it is newer, releases each hold if it is its holder's, and corrects its minute. Runs without
-- memory to spare as well: money that is held must come free.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled  5 requests and 6 tokens of a minute, of one tenant
--       7 requests and 8 tokens of a minute, of its API key
-- ARGV: 1 time in ms, empty but in tests   2 the number of holds
--       3… three for each hold: trace id, holder, the tokens that were used, empty where they aren't known
--       … for each projection: quotas of API keys, as fragments/api-key.lua takes them, and the projection, as
--       fragments/tenant.lua takes it
-- Result: nothing.
-- include decimal
-- include tenant
-- include settle

local nowMs, behindHolds = timeMs(ARGV[1]), 3 + 3 * tonumber(ARGV[2])
for at = 3, behindHolds - 1, 3 do settle(ARGV[at], ARGV[at + 1], ARGV[at + 2], nowMs) end
for at = behindHolds, #ARGV, VALUES_OF_PROJECTION do project(at) end
