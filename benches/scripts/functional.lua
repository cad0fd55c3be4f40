-- map, filter, fold and composition with function values.
local n = tonumber(arg and arg[1]) or 1600
local function map(t, f)
  local r = {}
  for i = 1, #t do r[i] = f(t[i]) end
  return r
end
local function filter(t, f)
  local r, k = {}, 0
  for i = 1, #t do
    local v = t[i]
    if f(v) then
      k = k + 1
      r[k] = v
    end
  end
  return r
end
local function fold(t, f, acc)
  for i = 1, #t do acc = f(acc, t[i]) end
  return acc
end
local function compose(f, g)
  return function(x) return f(g(x)) end
end
local function adder(k)
  return function(x) return x + k end
end
local base = {}
for i = 1, 2500 do base[i] = i end
local total = 0
for i = 1, n do
  local step = compose(adder(i), compose(function(x) return x * 3 end, adder(-1)))
  local kept = filter(map(base, step), function(v) return v % 2 == 0 end)
  total = total + fold(kept, function(a, b) return (a + b) % 1000003 end, i)
end
print(total)
