-- Texts of a hundred kilobytes, one kept at a time.
local kept
for i = 1, 10000 do kept = ("0123456789"):rep(10000 + i % 100) end
assert(#kept == 100000)
