-- Adds one turn's messages, once per request.
-- KEYS: messages, tokens, requests, deleted
-- ARGV: request_id, then for each message its token count and its body
-- Returns {messages in the conversation, 1 if nothing was added}
if redis.call('EXISTS', KEYS[4]) == 1 then
  return {0, 1}
end
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then
  return {redis.call('LLEN', KEYS[1]), 1}
end
local added = (#ARGV - 1) / 2
local count = 0
for i = 2, #ARGV, 2 do
  redis.call('RPUSH', KEYS[2], ARGV[i])
  count = redis.call('RPUSH', KEYS[1], ARGV[i + 1])
end
redis.call('HSET', KEYS[3], ARGV[1], (count - added) .. ':' .. added)
return {count, 0}
