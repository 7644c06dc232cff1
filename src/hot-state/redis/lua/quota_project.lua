-- Takes the projection if it is newer.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled, of one tenant
-- ARGV: 1 quotas of API keys, as fragments/api-key.lua takes them
--       2… the projection, as fragments/tenant.lua takes it
-- Result: nothing.
-- include decimal
-- include tenant

project(1)
