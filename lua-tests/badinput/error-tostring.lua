-- expect: custom text
error(setmetatable({}, { __tostring = function() return "custom text" end }))
