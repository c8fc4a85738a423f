-- Removes a conversation and leaves a tombstone, so that an append that was delayed cannot bring it back.
-- KEYS: messages, tokens, requests, deleted
-- ARGV: request_id, tombstone's time to live in ms
-- Returns the messages removed
local standing = redis.call('GET', KEYS[4])
if standing then
  redis.call('PEXPIRE', KEYS[4], ARGV[2])
  local request_id, removed = string.match(standing, '^(.*):(%d+)$')
  return request_id == ARGV[1] and tonumber(removed) or 0
end
local removed = redis.call('LLEN', KEYS[1])
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
redis.call('SET', KEYS[4], ARGV[1] .. ':' .. removed, 'PX', ARGV[2])
return removed
