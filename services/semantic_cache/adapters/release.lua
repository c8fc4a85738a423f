-- Ends a lease, if it is held by that token.
-- KEYS: lease
-- ARGV: token, ms for which nobody gets one (0: the next who asks gets it)
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
-- A full Redis refuses to write; those who wait must still not wait for nothing.
if ARGV[2] == '0' or redis.pcall('SET', KEYS[1], 'open', 'PX', ARGV[2]).err then
  redis.call('DEL', KEYS[1])
end
return 1
