-- Entries that are alive. What is not is forgotten as a member too: whoever asked knew it from there.
-- KEYS: floors, then for each: entry, members, order, feed
-- ARGV: their digests
-- Returns {entry or false, ...}
local clock = clock_of(KEYS[1])
local found = {}
for i, digest in ipairs(ARGV) do
  local at = 4 * i - 2
  local value = redis.call('GET', KEYS[at])
  found[i] = alive(value, KEYS[at], clock) and value
  if not found[i] then
    if value and is_entry(value) then redis.call('UNLINK', KEYS[at]) end
    leave(KEYS[at + 1], KEYS[at + 2], KEYS[at + 3], clock, digest)
  end
end
return found
