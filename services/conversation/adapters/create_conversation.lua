-- Keeps a new conversation, or finds the one the same request made.
-- KEYS: conversation, the owner's index, the request's marker.
-- ARGV: id, title, system prompt, create time (s), marker's life (ms), digest of the request.
-- Returns the id that stands and the digest of what it was made for, with a space between.
local made = redis.call('GET', KEYS[3])
if made then return made end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'title', ARGV[2], 'system_prompt', ARGV[3],
  'create_time', ARGV[4], 'update_time', ARGV[4], 'turn_count', 0)
redis.call('ZADD', KEYS[2], 0, ARGV[1])
made = ARGV[1] .. ' ' .. ARGV[6]
redis.call('SET', KEYS[3], made, 'PX', ARGV[5])
return made
