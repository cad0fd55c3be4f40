-- A constructor with the keys 0, 1, 2 … written out: `pairs` and `next` visit them in
-- this order, as long as no other key comes.
local function keys(t)
  local seen = {}
  for k, v in pairs(t) do seen[#seen + 1] = tostring(k) .. "=" .. tostring(v) end
  local again, k, v = {}, next(t)
  while k ~= nil do
    again[#again + 1] = tostring(k) .. "=" .. tostring(v)
    k, v = next(t, k)
  end
  local a, b = table.concat(seen, " "), table.concat(again, " ")
  assert(a == b, a .. " / " .. b)
  return a
end
print(keys { [0] = "a", [1] = "b" })
print(keys { [0] = "a", [1] = "b", [2] = "c" })
print(keys { [0] = "sun", [1] = "mon", [2] = "tue", [3] = "wed", [4] = "thu", [5] = "fri", [6] = "sat" })
for n = 1, 70 do
  local items, want = {}, {}
  for i = 0, n do
    items[#items + 1] = ("[%d] = %d"):format(i, i * i)
    want[#want + 1] = ("%d=%d"):format(i, i * i)
  end
  local t = load("return {" .. table.concat(items, ", ") .. "}")()
  assert(keys(t) == table.concat(want, " "), n)
end
-- values change, and go, during a traversal
local t = { [0] = 10, [1] = 11, [2] = 12, [3] = 13 }
for k, v in pairs(t) do t[k] = v + 1 end
print(keys(t))
for k in pairs(t) do if k % 2 == 0 then t[k] = nil end end
print(keys(t))
for k in pairs(t) do t[k] = nil end
print(keys(t), next(t))
-- values that are nil, functions, tables
print(keys { [0] = nil, [1] = 1, [2] = 2 })
print((keys { [0] = 0, [1] = nil, [2] = 2 }))
print(#{ [0] = 0, [1] = 1, [2] = 2 }, #{ [0] = 0, [1] = 1 })
local f = { [0] = function() return "zero" end, [1] = function() return "one" end }
for _, g in pairs(f) do print(g()) end
-- other keys come: all are there, once
for _, key in ipairs { "x", -1, 1.5, true, 100 } do
  local t = { [0] = 0, [1] = 1, [2] = 2 }
  t[key] = "new"
  local n, sum = 0, 0
  for k, v in pairs(t) do n = n + 1 if math.type(k) == "integer" and k < 9 and k >= 0 then sum = sum + v end end
  print(n, sum, t[0], t[1], t[2], t[key])
  t[0] = nil t.y = 1 t.z = 2
  n = 0 for _ in pairs(t) do n = n + 1 end
  print(n)
end
-- key 0 goes, and something else takes its place
local t = { [0] = 0, [1] = 1 }
t[0] = nil t.x = "x"
local n = 0 for _ in pairs(t) do n = n + 1 end
print(n, t[0], t[1], t.x)
t[0] = "again"
local n = 0 for _ in pairs(t) do n = n + 1 end
print(n, t[0], t[1], t.x)
local t = { [0] = 0, [1] = 1 }
t[0] = nil collectgarbage() t[0] = 5
print(keys(t))
print(pcall(next, { [0] = 1, [1] = 2 }, 3))
