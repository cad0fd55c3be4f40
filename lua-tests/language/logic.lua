-- and, or, not: values, short circuits, in conditions and in assignments.
local log = {}
local function v(name, x) log[#log + 1] = name return x end
local function show(...) print(table.concat(log, ""), ...) log = {} end
show(v("a", 1) and v("b", 2)) show(v("a", nil) and v("b", 2)) show(v("a", 1) or v("b", 2)) show(v("a", false) or v("b", nil))
show(v("a", false) == false and v("b", 0) and v("c", "") or v("d", 1))
show(not v("a", nil) and not not v("b", 0))
show((v("a", nil) or v("b", 1)) and v("c", 2)) show(v("a", 1) and v("b", nil) or v("c", 3)) show(v("a", nil) or v("b", nil) or v("c", nil))
local function test(a, b, c)
  local r = {}
  if a and b or c then r[#r + 1] = 1 end
  if a and (b or c) then r[#r + 1] = 2 end
  if not (a and b) then r[#r + 1] = 3 end
  if not a or not b and c then r[#r + 1] = 4 end
  if (a or b) and (b or c) then r[#r + 1] = 5 end
  local x = a and b or c
  local y = not (a or b) == not c
  while a and not b do r[#r + 1] = "w" break end
  repeat r[#r + 1] = "r" until true or a or not b or c
  return table.concat(r, ",") .. " " .. tostring(x) .. " " .. tostring(y)
end
for _, a in ipairs { true, false } do for _, b in ipairs { true, false } do for _, c in ipairs { true, false } do print(a, b, c, test(a, b, c)) end end end
local x = nil
print(x == nil and "nil" or "not", x ~= nil, not x, (x or {}) ~= nil, 0 and "zero is true", "" and "empty is true")
print(1 < 2 and 2 < 3, 1 < 2 == true, "a" == "a" and 5 or 6, nil == false, (nil or false) == false)
local a = {}
a.x = a.x or 10
a.x = a.x and a.x + 1
print(a.x)
local function maybe(n) return n > 0 and n or nil, n end
print(maybe(1)) print(maybe(-1))
print((1 and 2) + (nil or 3), #(false or "abc"), -(nil or 4))
local t = { 1 > 2 and "x" or "y", not nil, k = 1 == 1 }
print(t[1], t[2], t.k)
print(true and nil == nil, false ~= nil and 1, not not nil)
for _, n in ipairs { 1, 2, 3, 4, 15 } do io.write(n % 15 == 0 and "fizzbuzz" or n % 3 == 0 and "fizz" or n % 5 == 0 and "buzz" or n, " ") end
print()
if 1 == 1.0 and "1" ~= 1 and not (0 == nil) then print "numbers" end
local n = 5
if n > 3 and n < 10 then print "between" elseif n then print "else" end
if n == 5 then elseif n then print "never" end
local k <const> = 10
if n < k and k > n and n <= 5 and 5 >= n and n ~= k then print "constants" end
