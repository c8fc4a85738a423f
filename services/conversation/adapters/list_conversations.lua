-- A page of an owner's conversations, the latest made first.
-- KEYS: the owner's index. ARGV: where to begin (as ZRANGE BYLEX takes it), most, what precedes an id in the key of its
-- record (which shares the index's hash tag), fields... Returns {more follow?, fields of one, fields of the next, ...}
local most = tonumber(ARGV[2])
local ids = redis.call('ZRANGE', KEYS[1], ARGV[1], '-', 'BYLEX', 'REV', 'LIMIT', 0, most + 1)
local page = {#ids > most and 1 or 0}
for i = 1, math.min(#ids, most) do
  page[i + 1] = redis.call('HMGET', ARGV[3] .. ids[i], unpack(ARGV, 4))
end
return page
