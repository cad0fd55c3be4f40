-- §2.4: __eq only for two tables or userdata that differ, __lt and __le.
local log = {}
local mt = {
  __eq = function(a, b) log[#log + 1] = "eq" return a.v == b.v end,
  __lt = function(a, b)
    log[#log + 1] = "lt"
    return (type(a) == "table" and a.v or a) < (type(b) == "table" and b.v or b)
  end,
  __le = function(a, b)
    log[#log + 1] = "le"
    return (type(a) == "table" and a.v or a) <= (type(b) == "table" and b.v or b)
  end,
}
local function new(v) return setmetatable({ v = v }, mt) end
local a, b, c = new(1), new(2), new(1)
print(a == c, a ~= c, a == b, a == a, a == 1, rawequal(a, c))
print(a < b, a > b, a <= c, a >= b, a < 5, 5 < a, a <= 1, 1 >= a, 0.5 < a)
print(table.concat(log, " "))
print(pcall(function() return a < "x" end))
print(pcall(function() return {} < {} end))
print(pcall(function() return {} <= 1 end))
print(pcall(function() return nil > 1 end))
print(pcall(function() return print < print end))
local truthy = setmetatable({}, { __lt = function() return 1 end, __eq = function() return "yes" end })
print(truthy < truthy, truthy == setmetatable({}, getmetatable(truthy)), not (truthy < 1))
local t = { new(3), new(1), new(2) }
table.sort(t)
print(t[1].v, t[2].v, t[3].v)
if a < b then print "branch" end
if not (a < b) then print "never" else print "else" end
print(math.max(1, 2), a < b and "and" or "or")
while a < b do a = new(a.v + 1) end
print(a.v)
