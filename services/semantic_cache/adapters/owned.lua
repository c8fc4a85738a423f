-- What a user put: ZSET of scope and entry (20 bytes each) by expiry in microseconds. Stands before the scripts that
-- need it.
local MOST_FORGOTTEN = 100

local function own(owned, clock, name, ttl_ms)
  redis.call('ZADD', owned, decimal(clock.now + ttl_ms * 1000), name)
  local expired = redis.call('ZRANGEBYSCORE', owned, '-inf', decimal(clock.now), 'LIMIT', 0, MOST_FORGOTTEN)
  if #expired > 0 then redis.call('ZREM', owned, unpack(expired)) end
  live(owned, ttl_ms)
end
