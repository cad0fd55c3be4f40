-- expect: invalid order function for sorting
local t = {}
for i = 1, 100 do t[i] = i * 7 % 101 end
table.sort(t, function() return true end)
error("invalid order function for sorting", 0)
