-- KEYS: stream. ARGV: group, least idle ms. Forgets consumers that hold nothing and were not seen for so long.
-- One that holds entries must stay: deleting it would lose them.
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then
  return 0
end
local gone = 0
for _, flat in ipairs(consumers) do
  local facts = {}
  for i = 1, #flat, 2 do
    facts[flat[i]] = flat[i + 1]
  end
  if facts['pending'] == 0 and facts['idle'] >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], facts['name'])
    gone = gone + 1
  end
end
return gone
