-- Ends a lease, if it is held by that caller: the last 8 bytes of a token name it.
-- KEYS: lease
-- ARGV: token, ms for which nobody gets one (0: the next who asks gets it)
local held = redis.call('GET', KEYS[1])
-- 'open' is shorter, and nobody's.
if not held or #held ~= 16 or string.sub(held, 9) ~= string.sub(ARGV[1], 9) then return 0 end
-- A full Redis refuses to write; those who wait must still not wait for nothing.
if ARGV[2] == '0' or redis.pcall('SET', KEYS[1], 'open', 'PX', ARGV[2]).err then
  redis.call('DEL', KEYS[1])
end
return 1
