-- What is kept at a key; if nothing is, the lease on making it.
-- KEYS: entry, floors, lease
-- ARGV: embedding space, lease in ms (0: none wanted), 8 bytes that name the caller,
--       1 if an alias counts as if nothing were kept
-- Returns {entry or false, alias that led to it or false, asked_at, standing, token, ms,
--          when an answer was last found wrong for this very text, or 0}
local clock = clock_of(KEYS[2])
if not clock.epoch then begin(clock) end

local function kept()
  local value = redis.call('GET', KEYS[1])
  if not value then return false, false end
  if alive(value, KEYS[1], clock) then return value, false end
  if ARGV[4] == '1' and string.sub(value, 1, 2) == ALIAS then return false, false end
  local target = target_of(value, KEYS[1], ARGV[1])
  local answer = target and redis.call('GET', target)
  if answer and alive(answer, target, clock, KEYS[1]) then return answer, value end
  -- It will not come to life again. What cannot be read may be another release's, so that stays.
  if is_entry(value) or string.sub(value, 1, 2) == ALIAS then redis.call('UNLINK', KEYS[1]) end
  return false, false
end

local function barred()
  if redis.call('ZCARD', KEYS[2]) == OWN_FLOORS then return 0 end
  return tonumber(redis.call('ZSCORE', KEYS[2], string.sub(KEYS[1], -DIGEST)) or 0)
end

-- Standing, token, ms, and when it was asked.
local function lease()
  local held = redis.call('GET', KEYS[3])
  if held == 'open' then return 'open', '', 0, instant(clock) end
  if held and #held == 16 then
    local asked = struct.unpack('>i8', held)
    -- What was asked before the present began will not be kept, so there is nothing to wait for.
    if asked > clock.epoch then
      -- The caller's own, if the first answer did not reach it.
      if string.sub(held, 9) == ARGV[3] then return 'granted', held, 0, asked end
      return 'held', '', math.max(0, redis.call('PTTL', KEYS[3])), instant(clock)
    end
  end
  local asked = following(clock)
  local token = struct.pack('>i8', asked) .. ARGV[3]
  -- Before the clock is moved on: a full Redis that refuses this must not have given out the instant.
  local refused = redis.pcall('SET', KEYS[3], token, 'PX', ARGV[2]).err
  if refused then
    -- With no room for leases there is none for answers either. Anything else the caller is to know of.
    if not string.find(refused, 'OOM', 1, true) then error(refused) end
    return 'open', '', 0, instant(clock)
  end
  return 'granted', token, 0, next_instant(clock)
end

local entry, alias = kept()
if entry or tonumber(ARGV[2]) == 0 then
  return {entry, alias, instant(clock), 'none', '', 0, barred()}
end
local standing, token, ms, asked = lease()
return {false, false, asked, standing, token, ms, barred()}
