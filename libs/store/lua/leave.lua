-- KEYS: stream. ARGV: group, consumer. Hands back what the consumer holds, or forgets a consumer that holds nothing.
local FOREVER_MS = 2147483647
local start, page, released = '-', nil, 0
repeat
  page = redis.pcall('XPENDING', KEYS[1], ARGV[1], start, '+', 100, ARGV[2])
  if page.err then
    return released
  end
  for _, pending in ipairs(page) do
    -- Idle for ever: claimable by the next who looks, its delivery counter as it was.
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, pending[1], 'IDLE', FOREVER_MS, 'JUSTID')
    released = released + 1
    start = '(' .. pending[1]
  end
until #page == 0
if released == 0 then
  redis.pcall('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
end
return released
