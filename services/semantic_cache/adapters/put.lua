-- Keeps an entry and lets it be found by meaning; or, without the entry's bytes, does the latter for one that is kept.
-- KEYS: entry, order, vectors
-- ARGV: entry's bytes or '', time to live in ms, id, vector's bytes, most members of the scope
-- Returns 1, or 0 if the entry is not kept
if ARGV[1] ~= '' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
elseif redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
-- Microseconds, so that numbers grow even if the scope was lost in between; and never smaller than the last one,
-- so that they grow even if the clock is set back.
local time = redis.call('TIME')
local sequence = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if last[2] and tonumber(last[2]) >= sequence then
  sequence = tonumber(last[2]) + 1
end
redis.call('ZADD', KEYS[2], string.format('%.0f', sequence), ARGV[3])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
local surplus = math.min(redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[5]), 500)
if surplus > 0 then
  local oldest = redis.call('ZRANGE', KEYS[2], 0, surplus - 1)
  redis.call('ZREM', KEYS[2], unpack(oldest))
  redis.call('HDEL', KEYS[3], unpack(oldest))
end
for i = 2, 3 do
  if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
end
return 1
