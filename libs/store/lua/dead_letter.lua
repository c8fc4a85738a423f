-- after entry.lua. KEYS: stream, dead. ARGV: ..., most dead letters kept, reason. Gives the dead letter's id or false.
-- XADD comes first: a full Redis refuses it before anything has changed.
local origin, deliveries, fields = owned()
if not origin then
  return false
end
local id = redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[5], '*',
  '@origin', origin, '@deliveries', deliveries, '@reason', ARGV[6], unpack(fields))
remove()
return id
