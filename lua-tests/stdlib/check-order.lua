-- What is checked first, and what counts as a length, a key, a chunk's name.
print(pcall(string.format, "%100d", {}))
print(pcall(string.format, "%#d", 1.5))
print(pcall(string.format, "%100s", setmetatable({}, { __tostring = function() end })))
print(pcall(string.format, "%.100a", {}))
print(pcall(string.gsub, "x", "x", nil, {}))
print(pcall(math.fmod))
print(pcall(math.fmod, "x"))
print(pcall(string.pack, "i4"))
print(pcall(string.pack, "z"))
print(pcall(string.pack, "i4i4", 1))
print(pcall(coroutine.resume, "x"))
print(pcall(coroutine.close))
print(pcall(next, { 1, 2, 3 }, 1.0))
print(table.concat(setmetatable({ 1, 2, 3 }, { __len = function() return "2" end }), ","))
print(select("#", table.unpack(setmetatable({}, { __len = function() return "0x3" end }))))
for n = 43, 46 do print(select(2, load("=", ("x"):rep(n)))) end
local t = { ["a\0b"] = 1 }
print(pcall(function() return t["a\0b"].x.y end))
print(pcall(function() return t[300].x end))
print(pcall(function() return t[255].x end))
print(pcall(function() return "x\0y" | 1.5 end))
for i = 0 / 0, 2 do print("once", i ~= i) end
for i = 1.5, 0 / 0 do print("once", i) end
-- the first error of a text, be it of the grammar or not
for _, text in ipairs {
  "local x <const> = 1; x = = 2", "return function() goto a end )", "goto l; local a; ::l:: print(a) end", "do goto x",
  "for i = 1, 2 do break", "repeat local x <const> = 1; x = 2 until =", "x = (function() local a <const> = 1; a = 1 ",
  "::a:: ::a:: = 1", "local a <const> = 1; function a() end )", "if x then local a <close> = 1; a = 2 else ) end",
  "break )", "function f() break end )", "local t <const> = { function() t = 1 end, ",
} do print((load(text, "=t"))) print(select(2, load(text, "=t"))) end
print(select(2, pcall(load("return (1 <\nnil)", "=t"))))
print(select(2, pcall(load("return (x.y\n\n)", "=t"))))
