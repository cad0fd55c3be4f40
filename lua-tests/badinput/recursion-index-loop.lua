-- expect: '__index' chain too long; possibly a loop
local t = {}
setmetatable(t, { __index = t })
print(t.a)
