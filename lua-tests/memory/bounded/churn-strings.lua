-- at most 80 MiB; the reference takes 60
local t = {}
for i = 1, 1500000 do t[i % 250000 + 1] = "a string that is different " .. i end
