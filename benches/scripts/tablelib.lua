-- table.insert, remove, concat, move and unpack.
local n = tonumber(arg and arg[1]) or 320
local insert, remove, concat, move, unpack = table.insert, table.remove, table.concat, table.move, table.unpack
local total = 0
for round = 1, n do
  local t = {}
  for i = 1, 4000 do insert(t, i * round % 97) end
  for i = 1, 40 do insert(t, i, i) end
  for _ = 1, 30 do total = total + remove(t, 3) end
  for _ = 1, 3000 do total = total + remove(t) end
  local s = concat(t, ",")
  total = total + #s
  local copy = move(t, 1, #t, 5, {})
  local _, _, c = unpack(t, 1, 10)
  total = total + copy[5] + c
end
print(total)
