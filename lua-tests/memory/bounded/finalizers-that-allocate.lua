-- at most 24 MiB; the reference takes 4
local sum = 0
local C = { __gc = function(o) for k = 1, 10 do sum = sum + #{ o, k .. "y" } end end }
for i = 1, 100000 do setmetatable({ i }, C) end
assert(sum > 0)
