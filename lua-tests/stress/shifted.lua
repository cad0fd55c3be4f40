-- Queues longer than what the collector looks at in one go: entries that move down
-- or up while it stands in the middle of them are neither lost nor freed.
local function check(t, first, n)
  if #t ~= n then return print("length", #t, n) end
  for i = 1, n do
    if t[i][1] ~= first + i then return print("entry", i, t[i][1], first + i) end
  end
end

local down = {}
for i = 1, 3000 do down[i] = { i } end
for r = 1, 4000 do
  local x = table.remove(down, 1)
  if x[1] ~= r then print("removed", r, x[1]) break end
  down[#down + 1] = { r + 3000 }
  local junk = { {}, {} }
end
check(down, 4000, 3000)

local middle = {}
for i = 1, 3000 do middle[i] = { i } end
for r = 1, 1000 do
  local x = table.remove(middle, 700)
  if x[1] ~= 699 + r then print("removed", r, x[1]) break end
  local junk = { {}, {} }
end
print(#middle, middle[699][1], middle[700][1], middle[2000][1])

local up = {}
for i = 1, 3000 do table.insert(up, 1, { 3001 - i }) local junk = { {} } end
check(up, 0, 3000)

local moved = {}
for i = 1, 3000 do moved[i] = { i } end
for r = 1, 200 do
  table.move(moved, 2, 3000, 1)
  moved[3000] = { r + 3000 }
end
check(moved, 200, 3000)
print "done"
