-- needs: inspect
-- All kinds of keys and values, cycles, metatables, options and filters.
local inspect = require "inspect"
local show = require "show"
local try = show.try
local function p(...) print(inspect(...)) end

for _, v in ipairs { 1, 1.5, -0.0, 1e100, "text", 'with "quotes"', "it's", [[both " and ']], true, false } do p(v) end
p(nil)
p(math.huge)
p(-math.huge)
p(math.maxinteger)
p("line\nbreak\ttab\0zero\1one\127del\\slash")
p("\0001 digits after an escape \1a")
p {}
p { 1, 2, 3 }
p { "a", "b", nil, "d" }
p { a = 1, b = 2, c = { d = 3 } }
p { 1, 2, x = { 3, y = { 4, z = {} } } }
p { [1.5] = "float key", [true] = "boolean key", [-3] = "negative", ["not an id"] = 1, ["end"] = 2, _ok = 3, ["1x"] = 4 }
p { [10] = "sparse", [20] = "more", "first" }
p { [{ 1 }] = "table key" }
p { print, print, string.len, coroutine.create(print) }

-- cycles and shared tables
local loop = { name = "loop" }
loop.self = loop
loop.child = { parent = loop }
p(loop)
local shared = { 1 }
p { shared, shared, { shared } }
local a, b = {}, {}
a.b, b.a = b, a
p { a, b }

-- metatables
p(setmetatable({ 1 }, { __index = { hidden = true }, __name = "kind" }))
p(setmetatable({}, { __tostring = function() return "own text" end }))
p(setmetatable({}, { __metatable = "locked" }))
local own = {}
setmetatable(own, own)
p(own)
local proxy = setmetatable({}, { __len = function() return 3 end, __index = function(_, k) return k * 10 end })
p(proxy)

-- options
local nested = { 1, { 2, { 3, { 4, { 5 } } } }, k = { l = { m = { n = "deep" } } } }
for depth = 0, 5 do
  print("depth " .. depth)
  p(nested, { depth = depth })
end
p({ 1, { 2 }, a = { b = 1 } }, { newline = "@", indent = ">>" })
p({ 1, { 2 }, a = { b = 1 } }, { newline = "", indent = "" })

-- filters
local function drop(names)
  return function(item, path)
    if names[path[#path]] then return nil end
    return item
  end
end
p({ name = "x", secret = "y", inner = { secret = 1, open = 2 } }, { process = drop { secret = true } })
p(setmetatable({ 1 }, { __mode = "k" }), {
  process = function(item, path)
    if path[#path] ~= inspect.METATABLE then return item end
  end,
})
p({ 1, 2, { 3, 4 }, 5 }, {
  process = function(item) return type(item) == "number" and item * item or item end,
})
p({ a = 1, b = { c = 2 } }, {
  process = function(item, path)
    if path[#path] == inspect.KEY then return tostring(item):upper() end
    return item
  end,
})
local paths = {}
inspect({ a = { b = { c = 1 } }, 7 }, {
  process = function(item, path)
    local text = {}
    for i, step in ipairs(path) do text[i] = tostring(step) end
    paths[#paths + 1] = table.concat(text, ".") .. ":" .. type(item)
    return item
  end,
})
table.sort(paths)
print(table.concat(paths, "\n"))
try("error in filter", inspect, { 1 }, { process = function() error("no", 0) end })

-- big ones
local big = {}
for i = 1, 300 do big["key" .. i] = { i, i * i, tostring(i) } end
local text = inspect(big)
local sum = 0
for i = 1, #text do sum = (sum * 31 + text:byte(i)) % 1000000007 end
print(#text, sum)
local chain = {}
for i = 1, 80 do chain = { chain, i } end
print(#inspect(chain))
