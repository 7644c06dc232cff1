#!lua flags=allow-oom
-- Takes the projection if it is newer, releases the hold if it is this holder's, and corrects its minute. Runs without memory
-- to spare as well: money that is held must come free.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled  5 requests and 6 tokens of a minute, of one tenant
--       7 requests and 8 tokens of a minute, of its API key
-- ARGV: 1 time in ms, empty but in tests   2 trace id   3 holder
--       4 the tokens that were used, empty where they aren't known
--       5 quotas of API keys, as fragments/api-key.lua takes them
--       6… the projection, as fragments/tenant.lua takes it
-- Result: nothing.
-- include decimal
-- include tenant
-- include settle

settle(ARGV[2], ARGV[3], ARGV[4], timeMs(ARGV[1]))
project(5)
