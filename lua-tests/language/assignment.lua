-- §3.3.3: all expressions are evaluated before any assignment.
local i, t = 1, {}
i, t[i] = i + 1, 20
print(i, t[1], t[2])
local a, b = 1, 2
a, b = b, a
print(a, b)
local x, y, z = (function() return 1, 2, 3 end)()
print(x, y, z)
local p, q, r = 0, (function() return 1, 2 end)()
print(p, q, r)
local log = {}
local function value(name, v) log[#log + 1] = name return v end
local target = setmetatable({}, { __newindex = function(self, k, v) rawset(self, k, v) end })
target[value("k1", 1)], target[value("k2", 2)] = value("v1", "a"), value("v2", "b")
print(table.concat(log, " "), target[1], target[2])
local u = { 1, 2, 3 }
u[1], u[2], u[3] = u[3], u[1], u[2]
print(table.concat(u, ","))
local o = { n = 1 }
local alias = o
o, o.n = { n = 5 }, 7
print(o.n, alias.n)
local m, n = 1
print(m, n)
do
  local a <const>, b = 10, 20
  b = b + a
  print(a, b)
end
global1, global2 = "g1"
print(global1, global2)
local s = { inner = { v = 1 } }
s.inner.v, s.inner = 2, nil
print(s.inner)
local w = 1
local w = w + 1
print(w)
local k = {}
k.a, k.b, k.c = (function() return 1, 2 end)()
print(k.a, k.b, k.c)
