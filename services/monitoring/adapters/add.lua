-- Adds one batch's sums to one scope's slices, unless this batch was added before.
-- KEYS[1]   the batch's marker; KEYS[2..] hashes, one per slice; all of one hash tag.
-- ARGV[1]   seconds for which the marker is kept.
-- ARGV[2..] per slice, in the order of its key: the Unix second at which it expires, the number of fields,
--           then field and amount, as often.
-- Returns 1 if it was added, 0 if it had been.
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then
  return 0
end
local at = 2
for index = 2, #KEYS do
  local expires, fields = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, fields do
    redis.call('HINCRBY', KEYS[index], ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  redis.call('EXPIREAT', KEYS[index], expires)
end
return 1
