#!lua flags=allow-oom
-- Gives a session back, if the request has it.
--
-- KEYS: 1 session   ARGV: 1 holder
-- Result: nothing.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
