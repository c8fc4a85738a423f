-- Keeps a job's next revision, if the one before is the current one. Sent twice it says the same twice.
-- KEYS: job, the request's marker. ARGV: job, its revision, life in ms (0: for ever). Returns 1, or 0 if it is not.
local standing = redis.call('HMGET', KEYS[1], 'revision', 'job')
if standing[1] == ARGV[2] and standing[2] == ARGV[1] then return 1 end
if standing[1] ~= tostring(ARGV[2] - 1) then return 0 end
redis.call('HSET', KEYS[1], 'job', ARGV[1], 'revision', ARGV[2])
if ARGV[3] == '0' then
  redis.call('PERSIST', KEYS[1])
  redis.call('PERSIST', KEYS[2])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return 1
