-- What was announced since a position.
-- KEYS: announcements
-- ARGV: position or '' for now, most announcements
-- Returns {position, 1 if nothing was missed, 1 if there is more, announcements}
if ARGV[1] ~= '' then
  local items = read_after(KEYS[1], tonumber(ARGV[1]), ARGV[2])
  if items then
    local position = #items > 0 and number_of(items[#items]) or tonumber(ARGV[1])
    return {string.format('%.0f', position), 1, #items == tonumber(ARGV[2]) and 1 or 0, items}
  end
end
return {string.format('%.0f', last_of(KEYS[1])), ARGV[1] == '' and 1 or 0, 0, {}}
