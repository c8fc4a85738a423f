-- KEYS: stream, delayed, dead. ARGV: most entries allowed, dead letter's id.
-- Gives the new entry's id, 0 when the queue is full, false when there is no such dead letter.
local letter = redis.call('XRANGE', KEYS[3], ARGV[2], ARGV[2])[1]
if not letter then
  return false
end
if redis.call('XLEN', KEYS[1]) + redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then
  return 0
end
local fields, flat = {}, letter[2]
for i = 1, #flat, 2 do
  -- The deliveries start again: whoever replays means to give it a fresh chance.
  if flat[i] ~= '@deliveries' and flat[i] ~= '@reason' then
    fields[#fields + 1] = flat[i]
    fields[#fields + 1] = flat[i + 1]
  end
end
local id = redis.call('XADD', KEYS[1], '*', unpack(fields))
redis.call('XDEL', KEYS[3], ARGV[2])
return id
