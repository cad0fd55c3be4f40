-- needs: dkjson
-- Encoding, decoding, positions, ordering, metatables, state and bad input;
-- LPeg is not there, so the decoder written in Lua does the work.
local json = require "dkjson"
local show = require "show"
local p, try = show.p, show.try
print(json.version, json.using_lpeg)
try("lpeg", function() return json.use_lpeg() end)

-- encoding
for _, v in ipairs { 1, -1, 0, 1.5, -0.5, 1e15, 1e16, 1e100, 2 ^ 53, 123456789012, math.maxinteger, math.mininteger,
  0.1, 1 / 3, "text", "", "quote\"back\\slash/", "\b\f\n\r\t\0\1\31\127", "äöü €", "\u{2028}\u{2029}", true, false } do
  print(json.encode(v))
end
print(json.encode(json.null), json.encode(math.huge), json.encode(-math.huge), json.encode(0 / 0))
print(json.encode { 1, 2, 3 }, json.encode {}, json.encode { { {} }, { 1 }, {} })
print(json.encode { n = 3, 1, 2 } == nil, json.encode { 1, nil, 3 })
local order = { "z", "a", "list", "nested", "m" }
local value = { a = 1, z = "last", m = false, nested = { list = { 1, { a = 2, z = 3 } }, a = {} }, list = { 4, 5 } }
print(json.encode(value, { keyorder = order }))
print(json.encode(value, { keyorder = order, indent = true }))
print(json.encode(value, { keyorder = order, indent = true, level = 2 }))
print(json.encode(setmetatable({}, { __jsontype = "object" })), json.encode(setmetatable({}, { __jsontype = "array" })))
print(json.encode(setmetatable({ b = 1, a = 2 }, { __jsonorder = { "b", "a" } })))
print(json.encode { setmetatable({}, { __tojson = function() return "!own!" end }) })
print(json.encode({ [1] = "a", [2] = "b", [5] = "e" }), json.encode({ [1] = "a", [100] = "z" }, { keyorder = { 1, 100 } }))
print(json.encode { [1.5] = "x" }, json.encode { [-1] = 1 })
local buffer = { "[" }
local state = { buffer = buffer, bufferlen = 1 }
print(json.encode({ 1, 2 }, state), table.concat(buffer, "|"), state.bufferlen)
print(json.quotestring "\u{10FFFF} \u{7FF} \u{FFFF}", json.quotestring "\xff\xfe")
try("function", json.encode, print)
try("function inside", json.encode, { a = { print } })
local loop = {}
loop[1] = loop
try("loop", json.encode, loop)
try("exception", json.encode, { print }, {
  exception = function(reason, v, _, message) return '"' .. reason .. ":" .. type(v) .. "\"" end,
})
try("key", json.encode, { [{}] = 1 })
try("boolean key", json.encode, { [true] = 1 })

-- decoding
for _, text in ipairs { "1", "-1", "0", "1.5", "1e3", "1E-3", "-0", "123456789012345678901234567890", "9007199254740993",
  '"a"', '"\\u0041\\u00e9\\u20ac\\ud83d\\ude00"', '"\\ud83d"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', "true", "false", "null", "[]", "{}", "[1,2,[3,[4]]]",
  '{"a":1,"b":[true,false,null],"c":{"d":"e"}}', "  [ 1 ,\n 2\t]  ", "/* comment */ [1, // more\n 2]", "\u{FEFF}[1]" } do
  local v, position, message = json.decode(text)
  p(text, v, position, message)
end
for _, text in ipairs { "", " ", "[", "[1", "[1,", "[1,]", "[1 2]", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,}', '{a:1}', '{1:2}', '"', '"abc', '"\\x"',
  "tru", "nul", "]", "}", "01x", "1.2.3", "[1}", "/* open", "'a'", "-", "+1", ".5" } do
  local v, position, message = json.decode(text)
  p("bad " .. text, v, position, message)
end
p("position", json.decode("[1] [2] [3]", 5))
p("null", json.decode("[1,null,3]", 1, "NULL"))
p("metatables", getmetatable(json.decode "[]").__jsontype, getmetatable(json.decode "{}").__jsontype)
p("without", getmetatable(json.decode("[]", 1, nil, nil)))
local M = { name = "M" }
p("given", getmetatable((json.decode("{}", 1, nil, M, nil))) == M)
p("line", select(3, json.decode "[1,\n2,\n3,\nx]"))

-- round trips over made-up values
local seed = 11
local function random(n)
  seed = (seed * 16807) % 2147483647
  return seed % n
end
local function make(depth)
  local kind = depth > 5 and random(4) or random(6)
  if kind == 0 then return random(100000) - 50000 end
  if kind == 1 then return random(10000) / 64 end
  if kind == 2 then
    local chars = {}
    for i = 1, random(12) do chars[i] = utf8.char(random(0x500) + 1) end
    return table.concat(chars)
  end
  if kind == 3 then return random(2) == 0 end
  local t = setmetatable({}, { __jsontype = kind == 4 and "array" or "object" })
  for i = 1, random(8) do t[kind == 4 and i or "k" .. i] = make(depth + 1) end
  return t
end
local sum = 0
for _ = 1, 150 do
  local v = make(0)
  local keys = {}
  for i = 1, 8 do keys[i] = "k" .. i end
  local text = json.encode(v, { keyorder = keys, indent = random(2) == 0 })
  local back = json.decode(text)
  local again = json.encode(back, { keyorder = keys })
  assert(again == json.encode(v, { keyorder = keys }))
  for i = 1, #text do sum = (sum * 33 + text:byte(i)) % 1000000007 end
end
p("checksum", sum)
