-- A stretch of a conversation, or of one turn of it.
-- KEYS: messages, requests
-- ARGV: request_id or '', offset, limit
-- Returns {messages that follow the stretch, bodies oldest first}
local first, count = 0, 0
if ARGV[1] == '' then
  count = redis.call('LLEN', KEYS[1])
else
  local position = redis.call('HGET', KEYS[2], ARGV[1])
  if not position then
    return {0, {}}
  end
  first, count = string.match(position, '^(%d+):(%d+)$')
  first, count = tonumber(first), tonumber(count)
end
local offset = tonumber(ARGV[2])
local take = math.min(tonumber(ARGV[3]), count - offset)
if take <= 0 then
  return {0, {}}
end
return {count - offset - take, redis.call('LRANGE', KEYS[1], first + offset, first + offset + take - 1)}
