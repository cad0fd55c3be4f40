-- 100,000 small chunks that are kept.
local kept = {}
for i = 1, 100000 do kept[i] = assert(load("return " .. i, "=kept")) end
assert(kept[77]() == 77)
