#!lua flags=allow-oom
-- Releases the hold of a request that was voided, if it is this holder's; it no longer counts.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled, of one tenant
-- ARGV: 1 time in ms, empty but in tests   2 trace id   3 holder
-- Result: nothing.
-- include decimal
-- include tenant

settle(ARGV[2], ARGV[3], timeMs(ARGV[1]))
