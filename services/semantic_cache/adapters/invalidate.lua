-- From now on nothing that bears the mark and was asked before is alive.
-- KEYS: floors
-- ARGV: mark or '' for everything, microseconds after which a mark is forgotten, most marks
-- Returns {the instant, 1 if everything went instead}
local MOST_FORGOTTEN = 100
local clock = clock_of(KEYS[1])
-- First something that needs no memory: a full Redis lets a script go on that has written.
redis.call('PEXPIRE', KEYS[1], math.max(redis.call('PTTL', KEYS[1]), DAY_MS))
-- Too many to remember: everything goes.
local too_many = clock.epoch and redis.call('ZCARD', KEYS[1]) - OWN_FLOORS >= tonumber(ARGV[3])
if ARGV[1] == '' or not clock.epoch or too_many then
  return {begin(clock), too_many and 1 or 0}
end
local at = next_instant(clock)
redis.call('ZADD', KEYS[1], decimal(at), ARGV[1])
next_instant(clock)
local too_old = decimal(at - tonumber(ARGV[2]))
local marks = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', too_old, 'WITHSCORES', 'LIMIT', 0, MOST_FORGOTTEN)
for i = 1, #marks, 2 do
  if marks[i] ~= 'epoch' and marks[i] ~= FORGOTTEN then
    redis.call('ZREM', KEYS[1], marks[i])
    redis.call('ZADD', KEYS[1], marks[i + 1], FORGOTTEN)
  end
end
return {at, 0}
