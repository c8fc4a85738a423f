-- Deletes entries.
-- KEYS: floors, then for each: entry, members, order, feed
-- ARGV: their digests
-- Returns how many there were
local clock = clock_of(KEYS[1])
local count = 0
for i, digest in ipairs(ARGV) do
  local at = 4 * i - 2
  count = count + redis.call('UNLINK', KEYS[at])
  leave(KEYS[at + 1], KEYS[at + 2], KEYS[at + 3], clock, digest)
end
return count
