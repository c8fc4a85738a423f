-- A page of what a user put and is still there; forgets what is not.
-- KEYS: owned
-- ARGV: cursor, about how many, what the names of entries begin with
-- Returns {next cursor, scope and entry of each}
local page = redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local found = {}
for i = 1, #page[2], 2 do
  local name = page[2][i]
  local hex = string.gsub(string.sub(name, 21), '.', function(c) return string.format('%02x', string.byte(c)) end)
  if redis.call('EXISTS', ARGV[3] .. hex) == 1 then
    found[#found + 1] = name
  else
    redis.call('ZREM', KEYS[1], name)
  end
end
return {page[1], found}
