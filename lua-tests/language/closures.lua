-- Captured variables: sharing, one per pass of a loop, life after the frame.
local function counter()
  local n = 0
  return function() n = n + 1 return n end, function() return n end
end
local up, get = counter()
local up2, get2 = counter()
up() up() up2()
print(get(), get2())
local fs = {}
for i = 1, 3 do fs[#fs + 1] = function() i = i + 1 return i end end
print(fs[1](), fs[1](), fs[2](), fs[3]())
fs = {}
for _, v in ipairs { "a", "b" } do fs[#fs + 1] = function() return v end end
print(fs[1](), fs[2]())
fs = {}
local k = 0
while k < 3 do
  local j = k
  fs[#fs + 1] = function() j = j + 10 return j end
  k = k + 1
end
print(fs[1](), fs[1](), fs[2](), fs[3]())
fs = {}
repeat
  local last = #fs
  fs[#fs + 1] = function() return last end
until last >= 2
print(fs[1](), fs[2](), fs[3]())
local function three(a)
  return function(b)
    return function(c)
      a, b, c = a + 1, b + 1, c + 1
      return a, b, c
    end
  end
end
local f = three(1)(10)
print(f(100)) print(f(100))
local function swap(x, y)
  local function set(v) x = v end
  set(y)
  return x
end
print(swap(1, 2))
local a = {}
do
  local x = 5
  function a.get() return x end
  function a.set(v) x = v end
end
a.set(9)
print(a.get())
local function recursive(n) if n == 0 then return "zero" end return recursive(n - 1) end
print(recursive(10))
local g
g = function(n) return n <= 1 and 1 or n * g(n - 1) end
print(g(10))
local co = coroutine.wrap(function()
  local state = 1
  local function bump() state = state * 2 end
  while true do coroutine.yield(state) bump() end
end)
print(co(), co(), co())
local function shadow(x)
  local x = x + 1
  do local x = x * 2 print(x) end
  return x
end
print(shadow(1))
local t = {}
for i = 1, 2 do
  for j = 1, 2 do t[#t + 1] = function() return i * 10 + j end end
end
for i = 1, 4 do io.write(t[i](), " ") end
print()
