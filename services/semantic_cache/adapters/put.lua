-- Keeps an entry unless it is outdated, and does all that belongs to it.
-- KEYS: entry, floors, lease, owned, members, order, feed
-- ARGV: value without kind and epoch, time to live in ms, scope and entry, lease's token or '', member's bytes or '',
--       member's expiry in seconds, most members
-- Returns 1, or 0 if it is outdated
local clock = clock_of(KEYS[2])
local ttl_ms = tonumber(ARGV[2])

local function keep()
  local asked = struct.unpack('<i8', ARGV[1])
  if asked == 0 then
    if not clock.epoch then begin(clock) end
    asked = next_instant(clock)
  end
  -- Later than the clock: it was not this one that gave it out.
  if not clock.epoch or asked <= clock.forgotten or asked > clock.high then return false end
  local value = ENTRY .. struct.pack('<i8i8', clock.epoch, asked) .. string.sub(ARGV[1], 9)
  if not alive(value, KEYS[1], clock) then return false end
  local before = redis.call('GETRANGE', KEYS[1], 0, LONGEST_HEAD - 1)
  if alive(before, KEYS[1], clock) and asked_at(before) > asked then return false end
  redis.call('SET', KEYS[1], value, 'PX', ttl_ms)
  -- A day longer than the entry, for what is asked while it lives.
  live(clock.floors, ttl_ms + DAY_MS)
  own(KEYS[4], clock, ARGV[3], ttl_ms)
  local entry = string.sub(ARGV[3], -DIGEST / 2)
  if ARGV[5] ~= '' then
    join(KEYS[5], KEYS[6], KEYS[7], clock, entry, ARGV[5], ARGV[6], ARGV[7], ttl_ms)
  else
    -- What was known by meaning was the answer before this one.
    leave(KEYS[5], KEYS[6], KEYS[7], clock, entry)
  end
  return true
end

local done = keep()
-- Not before it is kept: in a full Redis, a script that has deleted something may write beyond the limit.
if ARGV[4] ~= '' and redis.call('GET', KEYS[3]) == ARGV[4] then redis.call('DEL', KEYS[3]) end
return done and 1 or 0
