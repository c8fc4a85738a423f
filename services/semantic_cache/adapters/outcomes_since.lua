-- Outcomes after an id, oldest first. A script, since a cluster client would shape XRANGE's reply differently.
-- KEYS: outcomes
-- ARGV: id or '' for the beginning, most outcomes
return redis.call('XRANGE', KEYS[1], ARGV[1] == '' and '-' or '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
