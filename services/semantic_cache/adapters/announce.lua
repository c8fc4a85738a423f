-- Announces an invalidation to all replicas.
-- KEYS: announcements
-- ARGV: tenant, mark, microseconds, most announcements, ms for which they are kept
-- First something that needs no memory: a full Redis lets a script go on that has written.
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[4])
local time = redis.call('TIME')
append(KEYS[1], ARGV[4], time[1] * 1000000 + time[2], 't', ARGV[1], 'm', ARGV[2], 'a', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
