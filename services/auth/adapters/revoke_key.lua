-- Ends an API key's life; one that has ended stays as it is.
-- KEYS  1 the key's record
-- Answer: {field, value, ...}, empty if there is no such key
if redis.call('HGET', KEYS[1], 'revoke_ms') == '0' then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'revoke_ms', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
end
return redis.call('HGETALL', KEYS[1])
