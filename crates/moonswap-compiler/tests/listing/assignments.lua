-- Assignment: targets, conflicts, constants.
local a, b, t, i = 1, 2, {}, 3
a, b = b, a
t[i], t = i, 4
i, t[i], t.x = i + 1, 20, t
t.x, t["y"], t[1], t[65535], t[65536], t[-1], t[a], t[1.5] = 1, 2, 3, 4, 5, 6, 7, 8
local x <const>, y <const> = f(), 10
local s <const> = "text"
local n <const> = nil
print(x, y, s, n)
a = y + a
global, t.global = 1
local function set() a = a + 1; t.x = b; b = nil; return y end
local _, u, v = nil
do local h <close> = f(); print(h) end
t.a_name_that_is_longer_than_forty_characters_for_sure = 1
t:a_name_that_is_longer_than_forty_characters_for_sure()
