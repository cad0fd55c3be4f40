-- Heap sort of an array of floats made by a small generator.
local n = tonumber(arg and arg[1]) or 600000
local seed = 42
local function random()
  seed = (seed * 3877 + 29573) % 139968
  return seed / 139968
end
local function heapsort(a, count)
  local function sift(root, last)
    local value = a[root]
    while true do
      local child = root * 2
      if child > last then break end
      if child < last and a[child] < a[child + 1] then child = child + 1 end
      if value >= a[child] then break end
      a[root] = a[child]
      root = child
    end
    a[root] = value
  end
  for i = count // 2, 1, -1 do sift(i, count) end
  for last = count, 2, -1 do
    a[1], a[last] = a[last], a[1]
    sift(1, last - 1)
  end
end
local a = {}
for i = 1, n do a[i] = random() + i % 7 end
heapsort(a, n)
for i = 2, n do assert(a[i - 1] <= a[i]) end
print(string.format("%.6f %.6f %.6f", a[1], a[n // 2], a[n]))
