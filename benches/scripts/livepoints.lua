-- One million objects alive at once: the cost of keeping a heap.
local n = tonumber(arg and arg[1]) or 1000000
local all = {}
for i = 1, n do all[i] = { x = i, y = i * 2 } end
local sum = 0
for i = 1, n do sum = sum + all[i].x * 2 - all[i].y end
print(#all, sum)
