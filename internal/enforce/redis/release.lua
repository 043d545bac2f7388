-- Gives back what is in progress. ARGV holds three words for each of KEYS: the
-- holder, this process, and a number of units. Without a holder the units are
-- those that this process has held for longest.
local function text(a, b) return string.format('%.0f %.0f', a, b) end
for i = 1, #KEYS do
  local key, holder, owner, units = KEYS[i], ARGV[3 * i - 2], ARGV[3 * i - 1], tonumber(ARGV[3 * i])
  if holder ~= '' then
    redis.call('HDEL', key, holder)
  else
    local mine, all = {}, redis.call('HGETALL', key)
    for j = 1, #all, 2 do
      if string.sub(all[j], 1, #owner) == owner then
        local held, stop = string.match(all[j + 1], '(%d+) (%d+)')
        mine[#mine + 1] = { field = all[j], number = tonumber(string.sub(all[j], #owner + 1)), held = tonumber(held), stop = tonumber(stop) }
      end
    end
    table.sort(mine, function(a, b) return a.number < b.number end)
    for _, m in ipairs(mine) do
      if units <= 0 then break end
      if m.held > units then
        redis.call('HSET', key, m.field, text(m.held - units, m.stop))
      else
        redis.call('HDEL', key, m.field)
      end
      units = units - m.held
    end
  end
end
return 1
