-- Keeps an answer that is not finished yet, if the claim is still the holder's.
-- KEYS: turn record. ARGV: holder, answer. Returns 1, or 0 if somebody else holds it or it is finished.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'staged', ARGV[2])
return 1
