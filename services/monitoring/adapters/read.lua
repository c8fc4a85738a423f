-- Reads some slices of one scope in one round trip, the same from a single server and from a cluster.
-- KEYS: hashes of one hash tag. Returns for each a flat array of field, value, field, value; empty if there is none.
local slices = {}
for index, key in ipairs(KEYS) do
  slices[index] = redis.call('HGETALL', key)
end
return slices
