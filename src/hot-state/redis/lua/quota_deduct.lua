#!lua flags=allow-oom
-- Takes the projection if it is newer, and releases the hold if it is this holder's. Runs without memory
-- to spare as well: money that is held must come free.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled, of one tenant
-- ARGV: 1 time in ms, empty but in tests   2 trace id   3 holder
--       4… the projection as names and values, the version first
-- Result: nothing.
-- include decimal
-- include tenant

settle(ARGV[2], ARGV[3], timeMs(ARGV[1]))
project(4, #ARGV)
