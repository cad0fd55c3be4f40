-- §3.4.11: adjusting lists of values, select, pack and unpack.
local function f(...) return ... end
local function count(...) return select("#", ...) end
print(count(), count(nil), count(nil, nil), count(f()), count((f())), count(f(1, 2), f(1, 2)))
print((f(1, 2, 3)), f(1, 2, 3))
local a, b, c = f(1, 2)
print(a, b, c)
local t = { f(1, 2), f(1, 2) }
print(#t, #{ f(1, 2, 3), nil }, #{ (f(1, 2)) })
print(select(2, "a", "b", "c"), select(-1, "a", "b", "c"), select(-2, "a", "b", "c"))
print(pcall(select, 0), pcall(select, -1))
local function g(x, ...)
  local y, z = ...
  return x, y, z, select("#", ...)
end
print(g(1)) print(g(1, 2)) print(g(1, 2, 3, 4))
print(table.pack(f()).n, table.pack(f(nil, nil)).n)
print(table.unpack({ 1, 2, 3 }, 2), table.unpack({ 1, 2, 3 }, 2, 3), table.unpack({}, 1, 3))
local function sum(...)
  local s = 0
  for _, v in ipairs { ... } do s = s + v end
  return s
end
print(sum(), sum(1), sum(1, 2, 3))
local function tail(n, ...)
  if n == 0 then return ... end
  return tail(n - 1, n, ...)
end
print(tail(5, "end"))
local many = {}
for i = 1, 250 do many[i] = i end
print(select("#", table.unpack(many)), (select(250, table.unpack(many))))
print((function(...) local function inner(...) return select("#", ...) end return inner(..., ...) end)(1, 2, 3))
print(string.format("%s %s", f("x", "y")), #string.rep("ab", f(3)))
print(pcall(f, 1, nil, 3, nil))
local s = 0
for i, v in f(ipairs({ 10, 20, 30 })) do s = s + i * v end
print(s)
print(f(f(f(1, 2), 3), 4))
local main = select("#", ...)
print(main)
