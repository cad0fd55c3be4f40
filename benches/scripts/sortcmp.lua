-- table.sort with comparison functions written in Lua.
local n = tonumber(arg and arg[1]) or 190000
local seed = 99
local function random()
  seed = (seed * 16807) % 2147483647
  return seed
end
local records = {}
for i = 1, n do records[i] = { id = i, score = random() % 5000, age = random() % 90 } end
table.sort(records, function(a, b)
  if a.score ~= b.score then return a.score > b.score end
  return a.id < b.id
end)
print(records[1].id, records[n // 2].id, records[n].id)
table.sort(records, function(a, b) return a.id < b.id end)
for i = 1, n do assert(records[i].id == i) end
print(n)
