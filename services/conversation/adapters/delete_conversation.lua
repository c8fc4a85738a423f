-- Removes a conversation's record and remembers which request did.
-- KEYS: conversation, the owner's index, the request's marker. ARGV: id, marker's life (ms).
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
return 1
