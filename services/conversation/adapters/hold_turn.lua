-- Prolongs a claim, or gives it back (lease 0), if it is still the holder's.
-- KEYS: turn record. ARGV: holder, lease (ms). Returns 1, or 0 if somebody else holds it or it is finished.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1], 'holder', 'lease_until')
  return 1
end
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'lease_until', now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[2])
return 1
