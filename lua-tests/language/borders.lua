-- `#` is a border whatever holes a table has, and the one that docs/tables.md names.
local function is_border(t, n)
  return (n == 0 or t[n] ~= nil) and t[n + 1] == nil
end
print(#{1, 2, nil, nil}, #{1, nil, 3}, #{nil, nil, 3}, #{1, nil, nil, 4})
local t = {}
t[1] = 1 t[2] = 2 t[4] = 4
print(#t)
t = {1, 2, 3, 4, 5}
t[3] = nil
io.write(#t, " ")
t[5] = nil
print(#t)
t = {}
for i = 1, 100 do t[i] = i end
for i = 50, 100 do t[i] = nil end
t[75] = 1
print(#t)
-- Random holes: always a border, whatever the table went through.
local state = 7
local function random(n)
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return (state >> 8) % n + 1
end
local wrong = 0
for _ = 1, 200 do
  local t = {}
  for _ = 1, 200 do
    local key = random(40)
    if random(3) == 1 then t[key] = nil else t[key] = key end
    if not is_border(t, #t) then wrong = wrong + 1 end
  end
end
print(wrong)
-- Every key once, in the same order twice, whatever is set to nil on the way.
local t = {}
for i = 1, 50 do t[i] = i t["k" .. i] = i t[i + 0.5] = i end
local first, seen = {}, 0
for key in pairs(t) do first[#first + 1] = key end
for key in pairs(t) do
  seen = seen + 1
  assert(first[seen] == key)
  t[key] = nil
end
print(#first, seen, next(t))
