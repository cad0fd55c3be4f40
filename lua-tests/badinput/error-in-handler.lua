-- expect: error in error handling
local function handler(m) error(m) end
local ok, message = xpcall(error, handler, "first")
error(message, 0)
