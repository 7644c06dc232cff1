#!lua flags=allow-oom
-- Releases the hold of a request that was voided, if it is this holder's; it no longer counts in its day, and used no
-- tokens.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled  5 requests and 6 tokens of a minute, of one tenant
--       7 requests and 8 tokens of a minute, of its API key
-- ARGV: 1 time in ms, empty but in tests   2 trace id   3 holder
-- Result: nothing.
-- include decimal
-- include tenant
-- include settle

settle(ARGV[2], ARGV[3], '0', timeMs(ARGV[1]))
-- Of a tenant that was forgotten there was none, and what was counted in it now must not stay for ever.
keepQuota()
