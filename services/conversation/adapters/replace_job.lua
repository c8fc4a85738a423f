-- Keeps a job's next revision, if the one before is the current one.
-- KEYS: job, the request's marker. ARGV: job, its revision, life in ms (0: for ever). Returns 1, or 0 if it is not.
if redis.call('HGET', KEYS[1], 'revision') ~= tostring(ARGV[2] - 1) then return 0 end
redis.call('HSET', KEYS[1], 'job', ARGV[1], 'revision', ARGV[2])
if ARGV[3] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return 1
