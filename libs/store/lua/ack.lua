-- KEYS: stream. ARGV: group, id. XACK alone would leave the entry in the stream for ever.
-- Neither command needs memory, so a full Redis can still be drained.
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then
  return 0
end
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
