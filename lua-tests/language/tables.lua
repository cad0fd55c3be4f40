-- Constructors, lengths, next under deletion, large and odd keys.
local t = { 1, 2, 3, x = 1, ["y"] = 2, [4] = 4, [2.0] = "dropped" }
print(#t, t.x, t.y, t[4], t[2])
local n = 0
for k, v in pairs(t) do n = n + 1 end
print(n)
t = {}
for i = 1, 1000 do t[i] = i end
for i = 1, 1000, 2 do t[i] = nil end
n = 0
for k, v in pairs(t) do n = n + v end
print(n)
for k in pairs(t) do t[k] = nil end
print(next(t), #t)
t = {}
t[1e15], t[2 ^ 53], t[-1], t[0], t[1.5], t[true], t[print], t[math.mininteger], t[math.maxinteger] = 1, 2, 3, 4, 5, 6, 7, 8, 9
print(t[10 ^ 15], t[1 << 53], t[-1.0], t[-0.0], t[3 / 2], t[1 == 1], t[print], t[math.mininteger], t[math.maxinteger])
t = {}
for i = 100, 1, -1 do t[i] = i end
print(#t)
t = { n = 0, f = function(self, k) self.n = self.n + k return self end }
print(t:f(1):f(2).n)
t = { { 1, { 2 } }, { a = { b = { c = "deep" } } } }
print(t[1][2][1], t[2].a.b.c, t[2]["a"]["b"]["c"])
local list
for i = 1, 3 do list = { i, list } end
print(list[1], list[2][1], list[2][2][1], list[2][2][2])
local big = {}
for i = 1, 300 do big[#big + 1] = i end
print(#big, big[300])
local lits = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60 }
print(#lits, lits[51], lits[60])
local function f() return 1, 2, 3 end
print(#{ f(), f() }, #{ f(), (f()) }, #{ f(), x = f() }, #{ [1] = 5, f() })
local keys = {}
for i = 1, 50 do keys["k" .. i] = i end
for i = 1, 50, 3 do keys["k" .. i] = nil end
n = 0
for k, v in pairs(keys) do assert(k == "k" .. v) n = n + v end
print(n)
for k in pairs(keys) do keys[k] = keys[k] * 2 end
n = 0
for _, v in pairs(keys) do n = n + v end
print(n)
print(rawequal(t, t), rawlen({ 1, 2 }), rawlen("abc"), rawget({ 5 }, 1), select("#", next({})))
print(next({ 10 }), next({ 10 }, 1), type(next), pcall(next, { 1 }, 5))
local a = {}
a[1], a[2], a[3] = 1, 2, 3
a[#a + 1] = 4
a[#a] = nil
print(#a)
local mixed = { [1] = "a", [2] = "b", [3] = "c" }
print(#mixed, mixed[3])
print(#{ nil }, #{ nil, 2 } >= 0, #{ 1, nil, 3 } >= 1)
