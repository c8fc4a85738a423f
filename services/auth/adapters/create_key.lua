-- Makes an API key, or finds the one that the same request made.
-- KEYS  1 the tenant's record   2 the key's record   3 the tenant's list of keys
-- ARGV  1 key id   2 request id   3 fingerprint of the request   then field, value, ... of the record
-- Answer: {'MADE' | 'FOUND', field, value, ...} | {'ID_TAKEN'} | {'REQUEST_REUSED'} | {'NO_TENANT'}
if redis.call('EXISTS', KEYS[1]) == 0 then return {'NO_TENANT'} end
local outcome = 'FOUND'
local made = redis.call('HMGET', KEYS[2], 'request_id', 'fingerprint')
if made[1] then
  if made[1] ~= ARGV[2] then return {'ID_TAKEN'} end
  if made[2] ~= ARGV[3] then return {'REQUEST_REUSED'} end
else
  local time = redis.call('TIME')
  -- As many digits until the year 2286: the list sorts by them as text.
  local created = string.format('%013.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HSET', KEYS[2], 'request_id', ARGV[2], 'fingerprint', ARGV[3], 'create_ms', created, unpack(ARGV, 4))
  redis.call('ZADD', KEYS[3], 0, created .. ':' .. ARGV[1])
  outcome = 'MADE'
end
local answer = redis.call('HGETALL', KEYS[2])
table.insert(answer, 1, outcome)
return answer
