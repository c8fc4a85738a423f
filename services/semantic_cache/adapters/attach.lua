-- Lets an entry that is kept be found by meaning.
-- KEYS: entry, floors, members, order, feed
-- ARGV: entry's digest, member's bytes, its expiry as packed in the entry (d), its expiry in seconds, most members,
--       time to live in ms
-- Returns 1, or 0 if that entry is not kept, or another answer has taken its place
local clock = clock_of(KEYS[2])
local kept = redis.call('GETRANGE', KEYS[1], 0, LONGEST_HEAD - 1)
-- Expiries are jittered, so they tell answers to the same question apart.
if not alive(kept, KEYS[1], clock) or string.sub(kept, 19, 26) ~= ARGV[3] then return 0 end
join(KEYS[3], KEYS[4], KEYS[5], clock, ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6])
return 1
