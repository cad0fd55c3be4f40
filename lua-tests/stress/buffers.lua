-- Natives that build strings and tables while they call back and collect.
local function trash() local t = {} for i = 1, 5 do t[i] = { tostring(i) .. "garbage" } end return t end
local parts = {}
for i = 1, 60 do parts[i] = setmetatable({}, { __tostring = function() trash() return "part" .. i end }) end
local text = {}
for i = 1, 60 do text[i] = tostring(parts[i]) end
print(#table.concat(text, ","), (table.concat(text, ","):sub(1, 20)))
print((("abc def ghi"):gsub("%w+", function(w) trash() return w:upper() .. #trash() end)))
print((("abc def ghi"):gsub("%w+", setmetatable({}, { __index = function(_, k) trash() return k:rep(2) end }))))
local nested = ("aXbXc"):gsub("%w", function(c) return (c:rep(3):gsub(".", function(d) trash() return d .. "-" end)) end)
print(nested)
for a, b in ("k1=v1;k2=v2;k3=v3"):gmatch("(%w+)=(%w+)") do trash() io.write(a, b, " ") end print()
print(string.format("%s %s %q %d %5.1f", parts[1], parts[2], "q\n\0", 42, 1.25))
print(pcall(string.format, "%s", setmetatable({}, { __tostring = function() trash() return 5 end })))
print(select("#", table.unpack((function() local t = {} for i = 1, 200 do t[i] = trash() end return t end)())))
local packed = table.pack(table.unpack({ 1, nil, 3, nil }, 1, 5))
print(packed.n, packed[1], packed[3], packed[5])
local order = {}
local proxy = setmetatable({}, { __index = function(_, k) trash() order[#order + 1] = k return k * 2 end, __len = function() trash() return 6 end, __newindex = function(t, k, v) trash() rawset(t, k, v) end })
print(table.concat(proxy, " "), table.unpack(proxy))
print(#table.move(proxy, 1, 6, 3, {}), #order)
table.insert(proxy, 2, "in")
print(rawget(proxy, 2), rawget(proxy, 7), table.remove(proxy, 3))
local pieces = { "local function f(...)", " local t = { ... }", " return function() return #t, t[1] end", " end", " return f(...)" }
local i = 0
local f = assert(load(function() i = i + 1 trash() return pieces[i] end))
print(f("a", "b")())
local dumped = string.dump(f)
print(load(dumped, "d", "b")("x", "y", "z")())
print(string.pack("s2 z i4 d", ("x"):rep(20), "zero", -5, 1.5):len(), string.unpack("s1", string.pack("s1", "abc")))
local big = ("x"):rep(50000)
local r = {}
for i = 1, 30 do r[i] = big .. i trash() end
for i = 1, 30 do assert(#r[i] == 50000 + #tostring(i) and r[i]:sub(-#tostring(i)) == tostring(i)) end
print(#table.concat(r))
local keys = {}
for i = 1, 500 do keys["key" .. i .. ("y"):rep(i % 60)] = i end
local sum = 0
for i = 1, 500 do sum = sum + keys["key" .. i .. ("y"):rep(i % 60)] end
print(sum)
local function va(...) trash() local a = { ... } trash() return ..., #a end
print(va(1, va(2, va(3, "x"))))
print(pcall(setmetatable({}, { __call = function(self, ...) trash() return select("#", ...), ... end }), 1, nil, 3))
print(utf8.char(72, 228, 8364, 128512), utf8.len("häß"), #utf8.charpattern)
for p, c in utf8.codes("aä€") do trash() io.write(p, ":", c, " ") end print()
print(os.date("!%Y-%m-%d", 0), tostring(1e15), math.tointeger("8"), tonumber("0x1p4"))
