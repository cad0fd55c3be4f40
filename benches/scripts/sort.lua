-- table.sort with the default order, on numbers and on strings.
local n = tonumber(arg and arg[1]) or 700000
local seed = 17
local function random()
  seed = (seed * 16807) % 2147483647
  return seed
end
local numbers, strings = {}, {}
for i = 1, n do numbers[i] = random() end
for i = 1, n // 3 do strings[i] = "key" .. random() % 1000000 end
table.sort(numbers)
table.sort(strings)
print(numbers[1], numbers[n // 2], numbers[n])
print(strings[1], strings[#strings // 2], strings[#strings])
