-- at most 24 MiB
local t = {}
for i = 1, 20000 do t[i] = i * 7919 % 20011 end
table.sort(t, function(a, b) return ("%20d"):format(a) < ("%20d"):format(b) end)
