-- Vararg functions, select, table.pack/unpack and multiple results.
local n = tonumber(arg and arg[1]) or 1800000
local function sum(...)
  local total = 0
  for i = 1, select("#", ...) do total = total + (select(i, ...)) end
  return total
end
local function rotate(first, ...)
  if first == nil then return ... end
  return ..., first
end
local unpack, pack = table.unpack, table.pack
local acc = 0
for i = 1, n do
  acc = acc + sum(i, 2, 3)
  local a, b = rotate(i, i + 1)
  local packed = pack(rotate(a, b))
  acc = acc + packed.n + (unpack(packed))
end
print(acc)
