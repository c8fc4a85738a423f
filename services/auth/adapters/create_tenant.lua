-- Makes a tenant, or finds the one that the same request made.
-- KEYS  1 the tenant's record
-- ARGV  1 request id   2 fingerprint of the request   then field, value, ... of the record
-- Answer: {'MADE', field, value, ...} | {'ID_TAKEN'} | {'REQUEST_REUSED'}
local made = redis.call('HMGET', KEYS[1], 'request_id', 'fingerprint')
if made[1] then
  if made[1] ~= ARGV[1] then return {'ID_TAKEN'} end
  if made[2] ~= ARGV[2] then return {'REQUEST_REUSED'} end
else
  local time = redis.call('TIME')
  local created = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HSET', KEYS[1], 'request_id', ARGV[1], 'fingerprint', ARGV[2], 'create_ms', created, unpack(ARGV, 3))
end
local answer = redis.call('HGETALL', KEYS[1])
table.insert(answer, 1, 'MADE')
return answer
