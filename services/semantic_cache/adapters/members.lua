-- The entries of a scope that can be found by meaning, in one embedding space. Stands before the scripts that need it.
--   members (HASH)  'epoch' -> the tenant's epoch they are of; entry -> what codec.py made of it
--   order (ZSET)    the same entries -> expiry in seconds
--   feed (STREAM)   'e' -> 20-byte digests of entries that came or went; what they are now, members tell
local MOST_EXPIRED, MOST_SURPLUS, FEED_LENGTH = 100, 500, 10000

local function are_of(members, clock)
  return clock.epoch and redis.call('HGET', members, 'epoch') == decimal(clock.epoch)
end

local function leave(members, order, feed, clock, entry)
  redis.call('ZREM', order, entry)
  if redis.call('HDEL', members, entry) == 1 then
    append(feed, FEED_LENGTH, math.max(clock.now, clock.high), 'e', entry)
    live(feed, redis.call('PTTL', members))
  end
end

local function join(members, order, feed, clock, entry, packed, expires, capacity, ttl_ms)
  local first = math.max(clock.now, clock.high)
  -- The three belong together: if one of them was evicted, or is of another epoch, all begin anew.
  if not are_of(members, clock) or redis.call('HLEN', members) - 1 ~= redis.call('ZCARD', order) then
    -- Even if the machine's clock was set back, readers are to see a gap.
    first = math.max(first, last_of(feed) + 2)
    redis.call('UNLINK', members, order, feed)
    redis.call('HSET', members, 'epoch', decimal(clock.epoch))
  end
  redis.call('HSET', members, entry, packed)
  redis.call('ZADD', order, expires, entry)
  local expired = math.min(redis.call('ZCOUNT', order, '-inf', clock.now / 1000000), MOST_EXPIRED)
  local surplus = math.min(redis.call('ZCARD', order) - tonumber(capacity), MOST_SURPLUS)
  local digests = entry
  if math.max(expired, surplus) > 0 then
    local gone = redis.call('ZRANGE', order, 0, math.max(expired, surplus) - 1)
    redis.call('ZREM', order, unpack(gone))
    redis.call('HDEL', members, unpack(gone))
    digests = digests .. table.concat(gone)
  end
  append(feed, FEED_LENGTH, first, 'e', digests)
  live(members, ttl_ms)
  live(order, ttl_ms)
  live(feed, ttl_ms)
end
