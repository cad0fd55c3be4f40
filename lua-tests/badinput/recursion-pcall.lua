-- expect: stack overflow
local function deep() local ok, message = pcall(deep); if not ok then error(message, 0) end return ok end
deep()
error("stack overflow seen", 0)
