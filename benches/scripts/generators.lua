-- Generators with coroutine.wrap: ranges, filters and a permutation walk.
local n = tonumber(arg and arg[1]) or 2600000
local wrap, yield = coroutine.wrap, coroutine.yield
local function range(count)
  return wrap(function()
    for i = 1, count do yield(i) end
  end)
end
local function keep(source, f)
  return wrap(function()
    for v in source do
      if f(v) then yield(v) end
    end
  end)
end
local function permutations(a, k)
  if k == 0 then
    yield(a)
  else
    for i = 1, k do
      a[i], a[k] = a[k], a[i]
      permutations(a, k - 1)
      a[i], a[k] = a[k], a[i]
    end
  end
end
local sum = 0
for v in keep(range(n), function(x) return x % 3 ~= 0 end) do sum = sum + v end
local count, first = 0, 0
for p in wrap(function() permutations({ 1, 2, 3, 4, 5, 6, 7, 8 }, 8) end) do
  count, first = count + 1, first + p[1]
end
print(sum, count, first)
