-- Records a turn's answer and moves its conversation on, once. The first to finish wins, lease or no lease:
-- its answer is what every retry gets.
-- KEYS: conversation, turn record. ARGV: answer, digest of the turn, record's life (ms), digest of the request.
-- Returns the answer that stands, or nil if the conversation was deleted meanwhile, or is being deleted.
local answer = redis.call('HGET', KEYS[2], 'answer')
if answer then return answer end
local fingerprint = redis.call('HMGET', KEYS[1], 'id', 'fingerprint', 'deleting')
if not fingerprint[1] or fingerprint[3] then
  redis.call('DEL', KEYS[2])
  return nil
end
local now = redis.call('TIME')
redis.call('HSET', KEYS[2], 'answer', ARGV[1], 'digest', ARGV[4])
redis.call('HDEL', KEYS[2], 'holder', 'lease_until', 'staged')
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[1], 'fingerprint', redis.sha1hex((fingerprint[2] or '') .. ARGV[2]),
  'update_time', now[1] .. '.' .. string.format('%06d', now[2]))
redis.call('HINCRBY', KEYS[1], 'turn_count', 1)
return ARGV[1]
