-- An entry, and what was added to its scope since a cursor.
-- KEYS: entry, order, vectors
-- ARGV: cursor, most members to read
-- Returns {entry or false, new cursor, ids oldest first, vectors (or false) in the same order}
local entry = redis.call('GET', KEYS[1])
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
if #found == 0 then
  return {entry, ARGV[1], {}, {}}
end
local ids = {}
for i = 1, #found, 2 do
  ids[#ids + 1] = found[i]
end
return {entry, string.format('%.0f', tonumber(found[#found])), ids, redis.call('HMGET', KEYS[3], unpack(ids))}
