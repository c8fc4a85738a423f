-- KEYS: stream. ARGV: group, consumer, ids... Resets the idle time of those still owned; gives the others.
local lost = {}
for i = 3, #ARGV do
  local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
  if pending.err or #pending == 0 then
    lost[#lost + 1] = ARGV[i]
  else
    -- JUSTID leaves the delivery counter alone.
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  end
end
return lost
