-- What happened to the members of a scope since a position of its feed; or, if that is not known, a page of them all.
-- KEYS: members, feed, floors
-- ARGV: position or '' for the beginning, cursor of the page or '', most members
-- Returns {position, cursor of the next page or '', 1 if all is told anew from here, 1 if there is more,
--          entries, what they are (false: gone)}
local clock = clock_of(KEYS[3])
local most = tonumber(ARGV[3])
-- What is there from another epoch is dead: as if nothing were there.
local present = are_of(KEYS[1], clock)

local function changes(after)
  local items = present and read_after(KEYS[2], after, most) or (after == 0 and not present and {})
  if not items then return nil end
  local position, seen, entries, values = after, {}, {}, {}
  for _, item in ipairs(items) do
    if #entries >= most then break end
    position = number_of(item)
    for from = 1, #item[2][2], 20 do
      local entry = string.sub(item[2][2], from, from + 19)
      if not seen[entry] then
        seen[entry] = true
        entries[#entries + 1] = entry
      end
    end
  end
  if #entries > 0 then values = redis.call('HMGET', KEYS[1], unpack(entries)) end
  local more = #items == most or (#items > 0 and position < number_of(items[#items]))
  return {decimal(position), '', 0, more and 1 or 0, entries, values}
end

local position, page, restart = ARGV[1], ARGV[2], 0
if page == '' then
  local changed = position ~= '' and changes(tonumber(position))
  if changed then return changed end
  -- Noted before the first page is read, so that nothing falls in between.
  position, page, restart = decimal(present and last_of(KEYS[2]) or 0), '0', 1
end
local scanned = present and redis.call('HSCAN', KEYS[1], page, 'COUNT', most) or {'0', {}}
local entries, values = {}, {}
for i = 1, #scanned[2], 2 do
  if scanned[2][i] ~= 'epoch' then
    entries[#entries + 1] = scanned[2][i]
    values[#values + 1] = scanned[2][i + 1]
  end
end
local next_page = scanned[1] == '0' and '' or scanned[1]
-- After the last page comes what happened meanwhile.
local more = next_page ~= '' or (present and last_of(KEYS[2]) or 0) ~= tonumber(position)
return {position, next_page, restart, more and 1 or 0, entries, values}
