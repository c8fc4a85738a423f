-- Streams whose ids are consecutive numbers, so that a reader sees whether it missed something: `<number>-0`, and
-- `<number>-1` for the first of all. Position 0 is that of a reader who found no stream. Stands before the scripts
-- that need it.
local function number_of(item) return tonumber(string.match(item[1], '^%d+')) end

local function last_of(stream)
  local item = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  return item and number_of(item) or 0
end

-- `first` numbers the first item of a stream: larger than any of one that was there before.
local function append(stream, most, first, ...)
  local last = last_of(stream)
  local id = last > 0 and string.format('%.0f-0', last + 1) or string.format('%.0f-1', first)
  redis.call('XADD', stream, 'MAXLEN', '~', most, id, ...)
end

-- Items after a position, oldest first; nil if some of them are gone.
local function read_after(stream, position, count)
  local items = redis.call('XRANGE', stream, string.format('%.0f', position + 1), '+', 'COUNT', count)
  if #items == 0 then return last_of(stream) == position and items or nil end
  local follows = number_of(items[1]) == position + 1 or (position == 0 and string.sub(items[1][1], -2) == '-1')
  return follows and items or nil
end
