-- KEYS: stream. ARGV: group, consumer, least idle ms, most entries, ids not to touch...
-- Gives {id, fields, deliveries} of each entry taken over. XPENDING + XCLAIM rather than XAUTOCLAIM, which tells no
-- delivery counts, cannot leave out what the caller is working on, and treats deleted entries differently by version.
local PAGE = 100
local wanted, working, taken, start, page = tonumber(ARGV[4]), {}, {}, '-', nil
for i = 5, #ARGV do
  working[ARGV[i]] = true
end
repeat
  page = redis.pcall('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], start, '+', PAGE)
  if page.err then
    if string.find(page.err, 'NOGROUP', 1, true) then
      return taken
    end
    return page
  end
  for _, pending in ipairs(page) do
    if #taken >= wanted then
      break
    end
    if not working[pending[1]] then
      local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], pending[1])[1]
      if entry then
        taken[#taken + 1] = { entry[1], entry[2], pending[4] + 1 }
      else
        -- Deleted while pending: nothing is left to work on.
        redis.call('XACK', KEYS[1], ARGV[1], pending[1])
      end
    end
    start = '(' .. pending[1]
  end
until #page < PAGE or #taken >= wanted
return taken
