-- Keeps a new job, or finds the one the same request made. Until it is queued it is kept for a while only: a queue that
-- is full must not fill the store with jobs that were refused.
-- KEYS: job, the request's marker. ARGV: job id, job, digest of the request, request, life (ms).
-- Returns {job id, digest, queued?}.
local made = redis.call('HMGET', KEYS[2], 'job_id', 'digest', 'queued')
if made[1] then return made end
redis.call('HSET', KEYS[2], 'job_id', ARGV[1], 'digest', ARGV[3])
redis.call('HSET', KEYS[1], 'job', ARGV[2], 'revision', 1, 'request', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {ARGV[1], ARGV[3], false}
