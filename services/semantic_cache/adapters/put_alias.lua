-- Keeps an alias of an entry that is alive, where nothing is kept.
-- KEYS: alias, floors, owned
-- ARGV: value, time to live in ms, scope and entry, embedding space
-- Returns 1 if it is kept
local clock = clock_of(KEYS[2])

local function head(key) return redis.call('GETRANGE', key, 0, LONGEST_HEAD - 1) end

local function leads_somewhere(value)
  local target = target_of(value, KEYS[1], ARGV[4])
  return target and alive(head(target), target, clock, KEYS[1])
end

local before = head(KEYS[1])
if not leads_somewhere(ARGV[1]) or alive(before, KEYS[1], clock) or leads_somewhere(before) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
own(KEYS[3], clock, ARGV[3], tonumber(ARGV[2]))
return 1
