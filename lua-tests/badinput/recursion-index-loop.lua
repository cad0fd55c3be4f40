-- expect: '__index' chain too long; possible loop
local t = {}
setmetatable(t, { __index = t })
print(t.a)
