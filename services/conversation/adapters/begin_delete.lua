-- Marks a conversation as being removed: it leaves its owner's list, and takes no turn any more.
-- KEYS: conversation, the owner's index. ARGV: id. Returns 1, or 0 if there is no such record.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'deleting', 1)
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
