-- Prolongs a lease.
-- KEYS: lease
-- ARGV: token, ms
-- Returns 1, or 0 if it is not held by that token
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
