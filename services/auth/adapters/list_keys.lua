-- A page of a tenant's keys, oldest first.
-- KEYS  1 the tenant's record   2 the tenant's list of keys
--       3 what the names of the keys' records start with; the whole names share its hash tag
-- ARGV  1 the last entry of the page before, or ''   2 how many
-- Answer: {'NO_TENANT'} | {'PAGE', cursor of the next page or '', {key id, {field, value, ...}}, ...}
if redis.call('EXISTS', KEYS[1]) == 0 then return {'NO_TENANT'} end
local size = tonumber(ARGV[2])
local from = ARGV[1] == '' and '-' or '(' .. ARGV[1]
local entries = redis.call('ZRANGEBYLEX', KEYS[2], from, '+', 'LIMIT', 0, size + 1)
local answer = {'PAGE', entries[size + 1] and entries[size] or ''}
for i = 1, math.min(size, #entries) do
  local id = string.match(entries[i], ':(.*)$')
  answer[#answer + 1] = {id, redis.call('HGETALL', KEYS[3] .. id)}
end
return answer
