-- Shared by scripts that move an entry: KEYS[1] is the stream, ARGV[1] the group, ARGV[2] the consumer, ARGV[3] the id,
-- ARGV[4] the delivery count the consumer was given. Origin and deliveries so far ride along as fields.

-- The entry's origin, deliveries and own fields, or nil if this consumer no longer holds this delivery of it.
local function owned()
  local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
  if pending.err or #pending == 0 or pending[1][2] ~= ARGV[2] then
    return nil
  end
  local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
  if not entry then
    return nil
  end
  local origin, deliveries, fields = ARGV[3], pending[1][4], {}
  local flat = entry[2]
  for i = 1, #flat, 2 do
    if flat[i] == '@origin' then
      origin = flat[i + 1]
    elseif flat[i] == '@deliveries' then
      deliveries = deliveries + tonumber(flat[i + 1])
    else
      fields[#fields + 1] = flat[i]
      fields[#fields + 1] = flat[i + 1]
    end
  end
  if tonumber(ARGV[4]) ~= deliveries then
    return nil
  end
  return origin, deliveries, fields
end

local function remove()
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
  redis.call('XDEL', KEYS[1], ARGV[3])
end
