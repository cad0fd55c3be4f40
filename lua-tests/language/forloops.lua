-- §3.3.5: numeric for at the edges of the integers, float loops, generic for.
local function count(a, b, c)
  local n, last = 0, nil
  for i = a, b, c do
    n, last = n + 1, i
    if n == 5 then break end
  end
  print(n, last)
end
count(1, 3, 1) count(3, 1, 1) count(3, 1, -1) count(1, 1, 1)
count(math.maxinteger - 1, math.maxinteger, 1)
count(math.mininteger + 1, math.mininteger, -1)
count(math.maxinteger, math.maxinteger + 1.0, 1)
count(1, math.huge, 1) count(1, -math.huge, 1) count(-1, -math.huge, -1)
count(math.mininteger, math.maxinteger, math.maxinteger)
count(math.maxinteger, math.mininteger, math.mininteger)
count(1, 3.9, 1) count(3, 0.1, -1) count(1.0, 3, 1) count(1, 2, 0.25)
count(0.1, 0.35, 0.1) count(1, 0 / 0, 1) count(-3, -1.5, 1)
for i = 1, 3 do local j = i i = i * 10 io.write(j, "=", i, " ") end
print()
print(pcall(load "for i = 1, 10, 0 do end"))
print(pcall(load "for i = 1.0, 10, 0 do end"))
print(pcall(load "for i = {}, 10 do end"))
print(pcall(load "for i = 1, 'x' do end"))
print(pcall(load "for i = 1, 2, nil do end"))
local function iterator(limit, i)
  i = i + 1
  if i <= limit then return i, i * i end
end
for i, sq in iterator, 4, 0 do io.write(i, ":", sq, " ") end
print()
for a, b, c, d in (function(s, k) if not k then return 1, 2 end end) do print(a, b, c, d) end
local closed = false
for i in iterator, 5, 0, setmetatable({}, { __close = function() closed = true end }) do
  if i == 2 then break end
end
print(closed)
print(pcall(function() for i in 5 do end end))
print(pcall(function() local t = {} for i in t.x do end end))
local callable = setmetatable({ n = 3 }, { __call = function(self) self.n = self.n - 1 if self.n > 0 then return self.n end end })
for v in callable do io.write(v, " ") end
print()
local keys = {}
for k in pairs { a = 1, b = 2, 10, 20 } do keys[#keys + 1] = tostring(k) end
table.sort(keys)
print(table.concat(keys, " "))
local t = { 1, 2, 3, nil, 5 }
local n = 0
for _ in ipairs(t) do n = n + 1 end
print(n)
local d = { a = 1, b = 2, c = 3 }
for k in pairs(d) do d[k] = nil end
print(next(d))
