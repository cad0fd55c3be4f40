-- expect: '__call' chain too long
-- reference: follows the chain for ever
-- In tail position too, where nothing but the length ends it.
local t = {}
setmetatable(t, { __call = t })
local ok, why = pcall(function(...) return t(...) end, 1, 2, 3)
assert(not ok and why:find("'__call' chain too long", 1, true), why)
return t()
