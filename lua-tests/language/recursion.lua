-- Deep recursion, tail calls without a limit, mutual recursion.
local function depth(n) if n == 0 then return 0 end return 1 + depth(n - 1) end
print(depth(10), depth(10000), depth(150000))
local function loop(n, acc) if n == 0 then return acc end return loop(n - 1, acc + 1) end
print(loop(1000000, 0))
local even, odd
function even(n) if n == 0 then return true end return odd(n - 1) end
function odd(n) if n == 0 then return false end return even(n - 1) end
print(even(100001), odd(100001))
local o = {}
function o:down(n) if n == 0 then return self end return self:down(n - 1) end
print(o:down(100000) == o)
local function hanoi(n, a, b, c) if n == 0 then return 0 end return hanoi(n - 1, a, c, b) + 1 + hanoi(n - 1, c, b, a) end
print(hanoi(12, "a", "b", "c"))
local function perm(a, n, out)
  if n == 0 then out[#out + 1] = table.concat(a) return out end
  for i = 1, n do a[i], a[n] = a[n], a[i] perm(a, n - 1, out) a[i], a[n] = a[n], a[i] end
  return out
end
print(table.concat(perm({ "a", "b", "c" }, 3, {}), " "))
local Y = function(f) return (function(x) return x(x) end)(function(x) return f(function(...) return x(x)(...) end) end) end
print(Y(function(self) return function(n) return n == 0 and 1 or n * self(n - 1) end end)(12))
local memo = setmetatable({}, { __mode = "k" })
local cache = {}
local function fib(n) if n < 2 then return n end local v = cache[n] if not v then v = fib(n - 1) + fib(n - 2) cache[n] = v end return v end
print(fib(90))
local function multi(n) if n == 0 then return "a", "b", "c" end return multi(n - 1) end
print(multi(1000))
local function args(n, ...) if n == 0 then return select("#", ...) end return args(n - 1, n, ...) end
print(args(200))
local s = 0
local function nested(d) for i = 1, 3 do if d > 0 then nested(d - 1) else s = s + i end end end
nested(5)
print(s)
print(select(2, pcall(function() local function f() return f() + 1 end return f() end)):match("stack overflow"))
local t = setmetatable({}, { __index = function(t, n) if n == 0 then return 0 end return t[n - 1] + 1 end })
print(t[100])
