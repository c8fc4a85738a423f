-- Adds an outcome, once.
-- KEYS: outcomes, request
-- ARGV: outcome, most outcomes, ms for which the request is remembered, ms for which outcomes are
if redis.call('SET', KEYS[2], '', 'PX', ARGV[3], 'NX') then
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'o', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
