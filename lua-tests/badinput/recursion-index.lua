-- expect: stack overflow
local t = setmetatable({}, {})
getmetatable(t).__index = function(_, k) return t[k + 1] end
print(t[1])
