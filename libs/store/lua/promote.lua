-- KEYS: stream, delayed, held. ARGV: most entries. Gives how many became due and went back to the stream.
local now = redis.call('TIME')
local ms = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ms, 'LIMIT', 0, ARGV[1])
local promoted = 0
for _, origin in ipairs(due) do
  local packed = redis.call('HGET', KEYS[3], origin)
  if packed then
    local held = cmsgpack.unpack(packed)
    redis.call('XADD', KEYS[1], '*', '@origin', origin, '@deliveries', held[1], unpack(held[2]))
    promoted = promoted + 1
  end
  redis.call('ZREM', KEYS[2], origin)
  redis.call('HDEL', KEYS[3], origin)
end
return promoted
