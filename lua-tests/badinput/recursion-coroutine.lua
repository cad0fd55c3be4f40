-- expect: C stack overflow
local function deep() return assert(coroutine.resume(coroutine.create(deep))) end
deep()
