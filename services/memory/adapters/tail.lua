-- The newest messages that fit a budget. Walks the list of token counts, so that only what fits is read.
-- KEYS: messages, tokens
-- ARGV: max_tokens, max_messages, how many messages to bring even if they do not fit
-- Returns {messages in the conversation, token counts oldest first, bodies oldest first}
local count = redis.call('LLEN', KEYS[1])
local tokens = redis.call('LRANGE', KEYS[2], -tonumber(ARGV[2]), -1)
local left = tonumber(ARGV[1])
local first = #tokens + 1
while first > 1 and tonumber(tokens[first - 1]) <= left do
  first = first - 1
  left = left - tonumber(tokens[first])
end
first = math.min(first, math.max(1, #tokens + 1 - tonumber(ARGV[3])))
local fitting = {}
for i = first, #tokens do
  fitting[#fitting + 1] = tonumber(tokens[i])
end
if #fitting == 0 then
  return {count, {}, {}}
end
return {count, fitting, redis.call('LRANGE', KEYS[1], -#fitting, -1)}
