-- Notes that a job is in the queue: from now on it is kept until it has finished, if it has not even done so already.
-- KEYS: job, the request's marker.
if redis.call('HSETNX', KEYS[2], 'queued', 1) == 1 and redis.call('HGET', KEYS[1], 'revision') == '1' then
  redis.call('PERSIST', KEYS[1])
  redis.call('PERSIST', KEYS[2])
end
return 1
