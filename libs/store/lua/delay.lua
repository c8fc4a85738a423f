-- after entry.lua. KEYS: stream, delayed, held. ARGV: ..., ms from now.
-- The writes that need memory come first: a full Redis refuses them before anything has changed.
local origin, deliveries, fields = owned()
if not origin then
  return 0
end
local now = redis.call('TIME')
local due = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[5])
redis.call('HSET', KEYS[3], origin, cmsgpack.pack({ deliveries, fields }))
redis.call('ZADD', KEYS[2], string.format('%.0f', due), origin)
remove()
return 1
