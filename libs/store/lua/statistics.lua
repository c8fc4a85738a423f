-- KEYS: stream, delayed, dead. ARGV: group. Gives waiting, pending, delayed, dead, age of the oldest in ms.
local length = redis.call('XLEN', KEYS[1])
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
local held = pending.err and 0 or pending[1]
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local age = 0
if oldest then
  local now = redis.call('TIME')
  age = math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(string.match(oldest[1], '^%d+')))
end
return { math.max(0, length - held), held, redis.call('ZCARD', KEYS[2]), redis.call('XLEN', KEYS[3]), age }
