-- at most 150 MiB; the reference takes 100
local t = {}
for i = 1, 250000 do t[i] = { x = i, y = i, z = i } end
local r = 1
for i = 1, 1500000 do
  r = (r * 1103515245 + 12345) & 0x7fffffff
  t[r % 250000 + 1] = { x = i, y = r, z = i }
end
