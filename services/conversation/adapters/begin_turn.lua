-- Claims a turn for a holder, or says why not.
-- KEYS: conversation, turn record. ARGV: holder, lease (ms), digest of the request, record's life (ms).
-- Returns {'missing'} | {'reused'} | {'done', answer} | {'busy', ms} | {'begun', attempt, system prompt, fingerprint}
local conversation = redis.call('HMGET', KEYS[1], 'system_prompt', 'fingerprint', 'id')
if not conversation[3] then return {'missing'} end
local record = redis.call('HMGET', KEYS[2], 'digest', 'answer', 'lease_until')
if record[1] and record[1] ~= ARGV[3] then return {'reused'} end
if record[2] then return {'done', record[2]} end
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local left = (tonumber(record[3]) or 0) - now_ms
if left > 0 then return {'busy', left} end
local attempt = redis.call('HINCRBY', KEYS[2], 'attempt', 1)
redis.call('HSET', KEYS[2], 'digest', ARGV[3], 'holder', ARGV[1], 'lease_until', now_ms + ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {'begun', attempt, conversation[1] or '', conversation[2] or ''}
