-- Claims a turn for a holder, or says why not. The same holder may ask again: it gets the claim it has.
-- KEYS: conversation, turn record. ARGV: holder, lease (ms), digest of the request, record's life (ms).
-- Returns {'missing'} | {'reused'} | {'done', answer} | {'busy', ms}
--   | {'begun', attempt, system prompt, fingerprint, turn count, staged answer or nil}
local conversation = redis.call('HMGET', KEYS[1], 'id', 'system_prompt', 'fingerprint', 'turn_count', 'deleting')
if not conversation[1] or conversation[5] then return {'missing'} end
local record = redis.call('HMGET', KEYS[2], 'digest', 'answer', 'lease_until', 'holder', 'staged')
if record[1] and record[1] ~= ARGV[3] then return {'reused'} end
if record[2] then return {'done', record[2]} end
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local left = (tonumber(record[3]) or 0) - now_ms
local ours = record[4] == ARGV[1]
if left > 0 and not ours then return {'busy', left} end
local attempt = redis.call('HINCRBY', KEYS[2], 'attempt', ours and 0 or 1)
redis.call('HSET', KEYS[2], 'digest', ARGV[3], 'holder', ARGV[1], 'lease_until', now_ms + ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {'begun', attempt, conversation[2] or '', conversation[3] or '', conversation[4] or '0', record[5]}
