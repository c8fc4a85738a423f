-- KEYS: stream. ARGV: group, consumer, most entries. Gives {id, fields} of new entries, now held by the consumer.
local read = { 'XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>' }
local streams = redis.pcall(unpack(read))
if streams and streams.err then
  if not string.find(streams.err, 'NOGROUP', 1, true) then
    return streams
  end
  -- From 0, so that what was enqueued before the group came into being is read too.
  redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
  streams = redis.call(unpack(read))
end
return streams and streams[1][2] or {}
