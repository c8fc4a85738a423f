-- A tenant's clock, and what is alive by it. Stands before the scripts that need it.
--
-- Floors: a ZSET in microseconds. One key, so that it is lost as a whole (then everything is dead) or not at all.
--   'epoch'     when the tenant's present began: what is kept from another one is dead
--   FORGOTTEN   what was asked by then cannot be kept any more, since marks of that time are gone
--   'high'      no later instant was ever given out; so an invalidation can come after all that was asked, even if
--               the machine's clock was set back meanwhile
--   marks       what bears one and was asked by then is dead; an entry bears its own digest (in hex) too
-- An entry's value: '\2e', epoch i8, asked_at i8, expires_at d (seconds), count of marks B, marks of 8 bytes; the rest
-- is between codec.py and itself. An alias's: '\2a', target in hex, length B and name of the embedding space; the rest.
local ENTRY, ALIAS = '\2e', '\2a'
local OWN_FLOORS = 3
-- More than 64 bytes, so that Redis hashes the floors from the first one on: it would search a list of up to 128.
local FORGOTTEN = 'forgotten' .. string.rep('.', 64)
local DIGEST, HEAD, LONGEST_HEAD = 40, 27, 27 + 255 * 8
local DAY_MS = 86400000
-- How far the clock may stand behind when nothing is granted: too early kills too much, never too little.
local SLACK = 100000

local function decimal(number) return string.format('%.0f', number) end

local function live(key, ms)
  if redis.call('PTTL', key) < tonumber(ms) then redis.call('PEXPIRE', key, ms) end
end

local function clock_of(floors)
  local time = redis.call('TIME')
  local scores = redis.call('ZMSCORE', floors, 'epoch', FORGOTTEN, 'high')
  local epoch, forgotten, high = tonumber(scores[1]), tonumber(scores[2]), tonumber(scores[3])
  return {
    floors = floors,
    now = time[1] * 1000000 + time[2],
    epoch = forgotten and high and epoch,
    forgotten = forgotten,
    high = high or 0
  }
end

-- An instant after all that were given out.
local function following(clock) return math.max(clock.now, clock.high + 1) end

-- The same, given out.
local function next_instant(clock)
  clock.high = following(clock)
  redis.call('ZADD', clock.floors, decimal(clock.high), 'high')
  return clock.high
end

-- All that was asked so far is dead. Returns the instant that ends it.
local function begin(clock)
  redis.call('DEL', clock.floors)
  local ended = next_instant(clock)
  clock.epoch, clock.forgotten = ended, ended
  redis.call('ZADD', clock.floors, decimal(ended), 'epoch', decimal(ended), FORGOTTEN)
  redis.call('PEXPIRE', clock.floors, DAY_MS)
  next_instant(clock)
  return ended
end

local function instant(clock)
  -- A full Redis refuses, but a hit must not fail for that: the clock stands still.
  if clock.now > clock.high + SLACK
    and type(redis.pcall('ZADD', clock.floors, decimal(clock.now), 'high')) == 'number' then
    clock.high = clock.now
  end
  return clock.high
end

local function is_entry(value) return #value >= HEAD and string.sub(value, 1, 2) == ENTRY end

local function asked_at(value) return (struct.unpack('<i8', value, 11)) end

-- Whether the entry `value` at `key` may answer what is asked at `asker` (nil: its own question).
local function alive(value, key, clock, asker)
  if not value or not is_entry(value) then return false end
  local epoch, asked, expires, count = struct.unpack('<i8i8dB', value, 3)
  -- Written so that a NaN is dead.
  if epoch ~= clock.epoch or not (expires * 1000000 > clock.now) or #value < HEAD + 8 * count then return false end
  if redis.call('ZCARD', clock.floors) == OWN_FLOORS then return true end
  local marks = {string.sub(key, -DIGEST), string.sub(asker or key, -DIGEST)}
  for i = 0, count - 1 do
    marks[i + 3] = string.sub(value, HEAD + 8 * i + 1, HEAD + 8 * i + 8)
  end
  for _, floor in ipairs(redis.call('ZMSCORE', clock.floors, unpack(marks))) do
    if floor and tonumber(floor) >= asked then return false end
  end
  return true
end

-- The key an alias leads to; nil if the value is none, or was made in another embedding space.
local function target_of(value, key, space)
  local named = string.char(#space) .. space
  local from = 3 + DIGEST
  if string.sub(value, 1, 2) == ALIAS and string.sub(value, from, from + #named - 1) == named then
    return string.sub(key, 1, -DIGEST - 1) .. string.sub(value, 3, from - 1)
  end
end
