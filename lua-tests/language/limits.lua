-- Limits that are part of the contract: locals, upvalues, nesting, constants, large jumps.
local function locals(n) local s = {} for i = 1, n do s[i] = "local a" .. i .. " = " .. i end s[#s + 1] = "return a1 + a" .. n return table.concat(s, "\n") end
print(load(locals(200))()) print(select(2, load(locals(201), "=c")))
local s = { "return {" } for i = 1, 70000 do s[#s + 1] = i .. "," end s[#s + 1] = "}"
local t = load(table.concat(s, " "))()
print(#t, t[1], t[70000])
s = { "local t = {} " } for i = 1, 3000 do s[#s + 1] = "t.field" .. i .. " = 'value" .. i .. "'" end s[#s + 1] = "return t.field1 .. t.field3000, t"
print((load(table.concat(s, "\n"))()))
s = { "local x = ... if x then " } for i = 1, 20000 do s[#s + 1] = "x = x + 1" end s[#s + 1] = "end return x"
f = load(table.concat(s, "\n")) print(f(5), f(nil))
s = { "local x, n = ..., 0 while n < 3 do " } for i = 1, 20000 do s[#s + 1] = "x = x + 1" end s[#s + 1] = "n = n + 1 end return x"
print(load(table.concat(s, "\n"))(0))
s = {} for i = 1, 300 do s[i] = "'" .. i .. "'" end
print(#load("return " .. table.concat(s, " .. ", 1, 150))())
print(select("#", load("return " .. ("1,"):rep(249) .. "1")()))
local nest = ("do "):rep(150) .. "x = 1 " .. ("end "):rep(150)
print(load(nest) ~= nil) print(load(("("):rep(150) .. "1" .. (")"):rep(150)) == nil, load("return " .. ("("):rep(150) .. "1" .. (")"):rep(150))())
print((select(2, load("return " .. ("("):rep(300) .. "1" .. (")"):rep(300), "=c")):match("^[^\n]*")))
print((select(2, load(("do "):rep(300) .. ("end "):rep(300), "=c")):match("^[^\n]*")))
print(#load("return [[" .. ("x"):rep(100000) .. "]]")(), #load("local " .. ("n"):rep(5000) .. " = 1 return '" .. ("y"):rep(70000) .. "'")())
print(load("return " .. ("-"):rep(0) .. "9223372036854775807 + 1")() == math.mininteger)
local deepf = {} for i = 1, 30 do deepf[i] = "return (function() " end
print(load(table.concat(deepf) .. "return 'deep'" .. (" end)()"):rep(30))())
print(pcall(string.rep, "x", 1 << 40, "y") == false)
print(select("#", table.unpack({}, 1, 200000)))
print(pcall(table.unpack, {}, 1, 1e7))
local args = {} for i = 1, 250 do args[i] = "a" .. i end
print(load("return function(" .. table.concat(args, ",", 1, 190) .. ") return a1 + a190 end")()(table.unpack((function() local r = {} for i = 1, 190 do r[i] = i end return r end)())))
