-- KEYS: stream, delayed. ARGV: most entries allowed, group, then field, value, ... Gives the id, or false when full.
local length = redis.call('XLEN', KEYS[1])
if length + redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then
  return false
end
if length == 0 and redis.call('EXISTS', KEYS[1]) == 0 then
  -- Now rather than at the first read, since a Redis that has become full could no longer do it, and so not be drained.
  redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[2], '0', 'MKSTREAM')
end
return redis.call('XADD', KEYS[1], '*', unpack(ARGV, 3))
