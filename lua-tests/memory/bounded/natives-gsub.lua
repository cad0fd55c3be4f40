-- at most 40 MiB; the reference takes 12
local text = ("0123456789"):rep(100000)
text:gsub("%d%d%d%d%d%d%d", string.upper)
local t = setmetatable({}, { __index = rawget })
text:gsub("%d%d%d%d%d%d%d", t)
text:gsub("()", function(i) return nil end)
