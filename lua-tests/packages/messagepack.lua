-- needs: MessagePack
-- All types at the borders of their encodings, streams, options and errors.
local mp = require "MessagePack"
local show = require "show"
local p, try = show.p, show.try

local function dump(s)
  return (s:gsub(".", function(c) return ("%02X "):format(c:byte()) end))
end

local function hex(s)
  if #s > 24 then return #s .. " bytes " .. dump(s:sub(1, 12)) .. ".. " .. dump(s:sub(-4)) end
  return dump(s)
end

-- integers at every border
local borders = { 0 }
for _, bits in ipairs { 5, 7, 8, 15, 16, 31, 32, 53, 62 } do
  local b = 1 << bits
  for _, d in ipairs { -1, 0, 1 } do
    borders[#borders + 1] = b + d
    borders[#borders + 1] = -(b + d)
  end
end
borders[#borders + 1], borders[#borders + 2] = math.maxinteger, math.mininteger
for _, mode in ipairs { "signed", "unsigned" } do
  mp.set_integer(mode)
  for _, n in ipairs(borders) do
    local coded = mp.pack(n)
    local back = mp.unpack(coded)
    print(mode, n, hex(coded), back, math.type(back))
  end
end
mp.set_integer "unsigned"

-- floats
for _, mode in ipairs { "float", "double" } do
  mp.set_number(mode)
  for _, x in ipairs { 0.0, -0.0, 1.5, -2.25, 1e300, 1 / 3, 3.0, math.huge, -math.huge, math.pi, 5e-324, 2 ^ 53 } do
    local coded = mp.pack(x)
    print(mode, x, hex(coded), string.format("%.17g", mp.unpack(coded)))
  end
  local nan = mp.unpack(mp.pack(0 / 0))
  print(mode, "nan", nan ~= nan)
end

-- strings and binaries at the borders of their lengths
for _, mode in ipairs { "string_compat", "string", "binary" } do
  mp.set_string(mode)
  for _, n in ipairs { 0, 1, 31, 32, 255, 256, 65535, 65536 } do
    local text = ("x"):rep(n)
    local coded = mp.pack(text)
    print(mode, n, hex(coded:sub(1, 6)), #coded, mp.unpack(coded) == text)
  end
end
mp.set_string "string"

-- arrays and maps
for _, mode in ipairs { "without_hole", "with_hole", "always_as_map" } do
  mp.set_array(mode)
  p(mode, mp.unpack(mp.pack { 1, 2, 3 }), mp.unpack(mp.pack { 1, nil, 3 }), mp.unpack(mp.pack { a = 1 }), mp.unpack(mp.pack {}))
  print(mode, hex(mp.pack { 1, 2, 3 }), hex(mp.pack {}), hex(mp.pack { x = true }))
  for _, n in ipairs { 15, 16, 300, 65535, 65536 } do
    local t = {}
    for i = 1, n do t[i] = i & 0x7f end
    local coded = mp.pack(t)
    local back = mp.unpack(coded)
    local same = #back == n
    for i = 1, n do same = same and back[i] == t[i] end
    print(mode, n, #coded, hex(coded:sub(1, 5)), same)
  end
end
mp.set_array "without_hole"
local deep = {}
for i = 1, 150 do deep = { deep, level = i } end
local levels, at = 0, mp.unpack(mp.pack(deep))
while at and at.level do
  levels = levels + 1
  at = at[1]
end
p("deep", levels)
p("mixed", mp.unpack(mp.pack { 1, "two", { three = 3, [4.5] = false }, true, [10] = { {} } }))

-- extensions
for _, n in ipairs { 1, 2, 3, 4, 8, 16, 17, 255, 256, 65536 } do
  local buffer = {}
  if n == 1 or n == 2 or n == 4 or n == 8 or n == 16 then
    mp.packers["fixext" .. n](buffer, 42, ("e"):rep(n))
  else
    mp.packers.ext(buffer, -7, ("e"):rep(n))
  end
  local coded = table.concat(buffer)
  mp.build_ext = function(tag, data) return { tag = tag, size = #data } end
  p("ext " .. n, hex(coded:sub(1, 6)), mp.unpack(coded))
end

-- a class with its own packer
local Point = {}
mp.packers["function"] = function(buffer, f) mp.packers.fixext1(buffer, 9, string.char(f())) end
p("function", mp.unpack(mp.pack(function() return 65 end)))
mp.packers["function"] = nil
try("function", mp.pack, print)
try("coroutine", mp.pack, coroutine.create(print))

-- streams
local stream = {}
for i = 1, 40 do stream[#stream + 1] = mp.pack { i, ("s"):rep(i) } end
stream = table.concat(stream)
local count = 0
for _, v in mp.unpacker(stream) do
  count = count + v[1] + #v[2]
end
p("stream", count)
for _, piece in ipairs { 1, 2, 3, 7, 64 } do
  local at, total = 1, 0
  local function loader()
    if at > #stream then return nil end
    local s = stream:sub(at, at + piece - 1)
    at = at + piece
    return s
  end
  for _, v in mp.unpacker(loader) do total = total + v[1] + #v[2] end
  p("pieces of " .. piece, total)
end

-- bad input: every prefix of a message, and bytes that mean nothing
local message = mp.pack { "abc", { 1.5, 70000, -1 }, x = { y = "z" } }
for n = 0, #message - 1, 3 do try("prefix " .. n, mp.unpack, message:sub(1, n)) end
try("extra", mp.unpack, message .. "\1")
try("c1", mp.unpack, "\xC1")
try("not a string", mp.unpack, 42)
try("unpacker", mp.unpacker, false)
try("set_string", mp.set_string, "nonsense")
try("set_number", mp.set_number, "nonsense")
try("set_array", mp.set_array, {})
try("set_integer", mp.set_integer, "")
