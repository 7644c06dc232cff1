-- Makes a tenant cold. Its minutes stay, and so does what was settled. Its holds stay until the next snapshot is
-- loaded, which has to know how far they had grown: nothing is decided by them until then.
--
-- KEYS: 1 quota  2 holds  3 unconfirmed  4 settled, of one tenant
-- Result: nothing.
-- include decimal
-- include tenant

redis.call('DEL', QUOTA, UNCONFIRMED)
-- A tenant that never comes back leaves nothing.
redis.call('PEXPIRE', HOLDS, IDLE_FOR_MS)
