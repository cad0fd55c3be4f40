-- expect: C stack overflow
local function handler(m) error(m) end
local ok, message = xpcall(error, handler, "first")
error(message == nil and "C stack overflow" or message, 0)
