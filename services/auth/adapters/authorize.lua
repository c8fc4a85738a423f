-- Admits one call of a key's holder, or several if so many are wanted and there is room for twice as many, or says why
-- not: key, tenant and every rate limit in one atomic step. A call that is not admitted changes nothing.
-- `services/auth/limits.py` explains and models the arithmetic.
--
-- KEYS  1 the key's record      2 the tenant's record      3 state of the tenant's limit
--       4 what the names of the users' limit states start with: the user may only be known from the key's record,
--         and the whole name shares the hash tag of this one
--       5 state of the method's limit
-- ARGV  1 HMAC of the presented key, or '' when a verified token stands for the key
--       2 the token's user, when there is one       3 method
--       4 how many calls are wanted
--       5, 6, 7 default limits a minute of tenant, user, method (0: none)       8 burst in seconds
--       9 Unix microseconds to decide at; '' (always, but in tests of the arithmetic) means the server's own TIME
-- Answer: {'ADMITTED', user, scopes, expire_ms, how many calls} | {'UNKNOWN' | 'REVOKED' | 'EXPIRED' | 'DISABLED'}
--         | {'LIMITED', user, then for each limit that was hit: its number (1 tenant, 2 user, 3 method), a minute,
--           capacity, microseconds to wait}
local TICKS_PER_MICRO, EPOCH = 8, 1735689600
local digest = ARGV[1]

local key = redis.call('HMGET', KEYS[1], 'digest', 'user_id', 'scopes', 'expire_ms', 'revoke_ms')
-- Comparing HMACs of the credential, not credentials: how long it takes tells nothing about the secret.
if not key[1] or (digest ~= '' and key[1] ~= digest) then return {'UNKNOWN'} end
if key[5] ~= '0' then return {'REVOKED'} end

local seconds, micros
if ARGV[9] == '' then
  local time = redis.call('TIME')
  seconds, micros = tonumber(time[1]), tonumber(time[2])
else
  local at = tonumber(ARGV[9])
  seconds = math.floor(at / 1000000)
  micros = at - seconds * 1000000
end
if key[4] ~= '0' and tonumber(key[4]) <= seconds * 1000 + micros / 1000 then return {'EXPIRED'} end

local tenant = redis.call('HMGET', KEYS[2], 'disabled', 'tenant_per_minute', 'user_per_minute', 'method:' .. ARGV[3])
if not tenant[2] then return {'UNKNOWN'} end
if tenant[1] == '1' then return {'DISABLED'} end

local function own_or_default(own, default)
  own = tonumber(own or 0)
  return own > 0 and own or tonumber(default)
end

local user = digest ~= '' and key[2] or ARGV[2]
local per_minute = {
  own_or_default(tenant[2], ARGV[5]),
  user ~= '' and own_or_default(tenant[3], ARGV[6]) or 0,
  own_or_default(tenant[4], ARGV[7]),
}
local states = {KEYS[3], KEYS[4] .. user, KEYS[5]}
local now = ((seconds - EPOCH) * 1000000 + micros) * TICKS_PER_MICRO
local burst = tonumber(ARGV[8])
local hit = {'LIMITED', user}
local from, intervals = {}, {}
local room = math.huge
for i = 1, 3 do
  if per_minute[i] > 0 then
    local interval = math.ceil(60000000 * TICKS_PER_MICRO / per_minute[i])
    local capacity = math.max(1, math.floor(per_minute[i] * burst / 60))
    from[i] = math.max(now, tonumber(redis.call('GET', states[i]) or 0))
    intervals[i] = interval
    room = math.min(room, math.floor((capacity * interval + now - from[i]) / interval))
    local wait = from[i] + interval - now - capacity * interval
    if wait > 0 then
      for _, value in ipairs({i, per_minute[i], capacity, math.ceil(wait / TICKS_PER_MICRO)}) do
        hit[#hit + 1] = value
      end
    end
  end
end
if #hit > 2 then return hit end

local calls = math.max(1, math.min(tonumber(ARGV[4]), math.floor(room / 2)))
for i, tat_before in pairs(from) do
  local tat = tat_before + calls * intervals[i]
  -- Once the instant has passed, the state says no more than its absence; the second to spare is for a failover to a
  -- machine whose clock runs behind.
  local life_ms = math.ceil((tat - now) / (TICKS_PER_MICRO * 1000)) + 1000
  redis.call('SET', states[i], string.format('%.0f', tat), 'PX', life_ms)
end
return {'ADMITTED', user, key[3], key[4], calls}
