-- Objects with a finalizer and parts of their own, made and dropped.
local class = { __gc = function() end }
for i = 1, 1000000 do
  local o = setmetatable({ id = i, parts = {} }, class)
  for k = 1, 5 do o.parts[k] = k .. ":" .. i end
end
