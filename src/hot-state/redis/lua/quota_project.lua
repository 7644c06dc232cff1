-- Takes the projection if it is newer.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled  5 open, of one tenant
-- ARGV: the projection as names and values, the version first
-- Result: nothing.
-- include decimal
-- include tenant

project(1, #ARGV)
