-- expect: '__tostring' must return a string
print(tostring(setmetatable({}, { __tostring = function() return {} end })))
