-- The base library, function by function: arguments, defaults, error texts, edges.
local real_print = print
local function print(...)
  local r = table.pack(...)
  for i = 1, r.n do
    r[i] = tostring(r[i]):gsub("%a+: [xX%x]*%x%x%x%x%x%x+", "ADDRESS"):gsub("0x%x%x%x%x%x%x+", "ADDRESS")
  end
  real_print(table.concat(r, "\t"))
end
local function t(label, f, ...) print(label, pcall(f, ...)) end
-- base
t("assert", assert) t("assert", assert, nil) t("assert", assert, false, {}) print(select("#", assert(1,2,3)))
t("assert nil", assert, nil, nil) t("assert msg num", assert, false, 42)
for _, o in ipairs{"collect","stop","restart","count","step","isrunning"} do local r = collectgarbage(o) print(o, type(r), math.type(r), o~="count" and o~="step" and r) end
print(collectgarbage("setpause", 150)) print(collectgarbage("setpause", 200)) print(collectgarbage("setstepmul", 300)) print(collectgarbage("setstepmul", 100))
print(collectgarbage("setpause", 2000)) print(collectgarbage("setpause", 200)) print(collectgarbage("setpause", 137)) print(collectgarbage("setpause",1)) print(collectgarbage("setpause", 200))
print(collectgarbage("setstepmul", 1001)) print(collectgarbage("setstepmul", 7)) print(collectgarbage("setstepmul", 100))
print(collectgarbage("generational")) print(collectgarbage("generational", 20, 100)) print(collectgarbage("incremental")) print(collectgarbage("incremental", 200, 100, 13)) print(collectgarbage("isrunning"))
collectgarbage("stop") print(collectgarbage("isrunning")) collectgarbage("restart") print(collectgarbage("isrunning"))
t("gc", collectgarbage, "bad") t("gc", collectgarbage, 5) t("gc", collectgarbage, "setpause", "x") t("gc", collectgarbage, {}) t("gc", collectgarbage, nil)
t("gc", collectgarbage, "step", "x") t("gc", collectgarbage, "step", 1.5) t("gc",collectgarbage,"incremental",{}) t("gc", collectgarbage, "generational", 1, "z")
print(collectgarbage("step", 0) ~= nil, collectgarbage("step", 1000000))
collectgarbage("generational") collectgarbage("incremental")
t("dofile", dofile, "/nonexistent/file.lua") t("dofile", dofile, 5, 5) t("dofile", dofile, {})
t("error", error) t("error", error, nil) t("error", error, "x", 0) t("error", error, "x", 1) t("error", error, "x", 2) t("error", error, "x", "y") t("error", error, {}==nil) t("error", error, "x", 1.5) t("error", error, "x", "0")
t("getmetatable", getmetatable) print(getmetatable(1), getmetatable("").__name, getmetatable(setmetatable({}, {__metatable=false})), getmetatable(setmetatable({},{__metatable="p"})))
t("ipairs", ipairs) t("ipairs", ipairs, nil) t("ipairs", function() for i in ipairs(5) do end end) t("ipairs", function() for i in ipairs(print) do end end)
for i,v in ipairs("abc") do print(i,v) end
print(pcall(ipairs({}), {}, "x")) print(pcall(ipairs({}), {10,20}, 1)) print(pcall(ipairs({}))) print(pcall(ipairs({}), nil, 1))
t("load", load) t("load", load, nil) t("load", load, 5) t("load", load, {}) t("load", load, "x=", "=name") t("load", load, "x=", "@name") t("load", load, "x=", "multi\nline") t("load", load, "x=", ("long"):rep(40)) t("load", load, "x=", "@" .. ("long"):rep(40)) t("load", load, "x=", "=" .. ("long"):rep(40)) t("load", load, "x =") t("load", load, "\nx =")
t("load", load, "return 1", "n", "b") t("load", load, string.dump(function() end), "n", "t") t("load", load, "return 1", "n", "x") t("load", load, "return 1", "n", "") t("load", load, "return 1", 5) t("load", load, "return 1", {}) t("load", load, "return 1", "n", 5) t("load", load, "return 1", "n", {})
print(load("return ...", "n", "bt", {})(1,2)) print(load("return x", "n", "t", {x=5})()) print(pcall(load("return x", "n", "t", nil))) print(pcall(load("return x", "n", "t", 5)))
local n = 0 print(load(function() n = n + 1 return ({"return ", "1", "+", "2", "", "3"})[n] end)())
print(load(function() return nil end)) 
t("load reader", load, function() return {} end) t("load reader", load, function() error("e", 0) end) t("load reader", load, function() error({}) end == nil and 1 or function() return true end)
t("load reader name", load, function() return nil end, nil) print(load(function() if n then n = nil return "x = " end end))  
local i = 0 print(pcall(load(function() i = i + 1 if i == 1 then return "error('q')" end end)))
t("load bin", load, "\27", "n") t("load bin", load, "\27Lua", "n") t("load bin", load, "\27Luaxxxxxxxxx") t("load bin", load, "\27Lua", "=?", "b") t("load bin", load, "\27Lua", "=?", "t")
t("load bin trunc", load, string.dump(function(a) return a + 1 end):sub(1, 40), "=tr")
t("load", load, "\xEF\xBB\xBFreturn 1") t("load", load, "#!shebang\nreturn 1") t("load", load, "# comment") t("load nul", load, "return '\0'") t("load", load, "x\0y") t("load",load,"return 1\0")
t("loadfile", loadfile, "/nonexistent") t("loadfile", loadfile, {}) 
local name = os.tmpname()
local function file(s, ...) local f = io.open(name, "wb") f:write(s) f:close() local r = table.pack(pcall(loadfile, name, ...)) for i = 1, r.n do if type(r[i]) == "string" then r[i] = r[i]:gsub(name:gsub("%p", "%%%0"), "NAME") end if type(r[i])=="function" then r[i] = table.pack(pcall(r[i])) r[i] = tostring(r[i][1]) .. ":" .. tostring(r[i][2]):gsub(name:gsub("%p", "%%%0"), "NAME") end end print(table.unpack(r, 1, r.n)) end
file "return 1" file "\xEF\xBB\xBFreturn 2" file "#!x\nreturn 3" file "\xEF\xBB\xBF#!x\nreturn debug.getinfo(1,'l').currentline" file "#no newline" file "#" file "" file "\xEF\xBB" file "\xEFreturn" file "\xEF\xBB\xBF" file "#\nx =" file "#a\n#b" file "return 1 +" file("return 1", "b") file("return 1", "t") file(string.dump(function() return 9 end), "t") file(string.dump(function() return 9 end), "b") file("#!/x\n" .. string.dump(function() return 9 end)) file("\xEF\xBB\xBF" .. string.dump(function() return 9 end)) file("return y", "t", {y = 7}) file("return y", nil, nil) file("return 1", 5) file("return 1", "q") file(" \27Lua") file "error 'e'" file "error({},2)" file "local x <const> = 1 x = 2" file "goto x" 
do local f = io.open(name, "wb") f:write("return ..., 5") f:close() t("dofile", dofile, name) f = io.open(name, "wb") f:write("error('in file')") f:close() print((select(2, pcall(dofile, name)):gsub("^.-:", ""))) end
os.remove(name)
t("next", next) t("next", next, {}) t("next", next, {1}, 1) t("next", next, {1}, 1.0) t("next", next, {1}, 0/0) t("next", next, {1}, {}) t("next", next, nil) t("next", next, {1}, "a") t("next", next, {10}) t("next",next,{a=1},"b")
t("pairs", pairs) t("pairs", pairs, nil) print(pcall(pairs, setmetatable({}, {__pairs = function(t) return 1,2,3,4 end}))) print(pcall(pairs, setmetatable({}, {__pairs = function(t) return end}))) t("pairs", pairs, setmetatable({}, {__pairs = 5})) print(select("#", pairs(setmetatable({}, {__pairs=function() return 1 end})))) t("pairs", pairs, 5)
t("pcall", pcall) t("pcall", pcall, nil) t("pcall", pcall, 5) print(pcall(pcall, error, "x")) print(pcall(pcall)) print(pcall(xpcall)) print(pcall(xpcall, print)) print(pcall(xpcall, print, nil)) print(xpcall(error, function(m) return m, 2 end, "e")) print(xpcall(error, error, "e")) print(xpcall(5, function(m) return "h:" .. m end)) print(pcall(xpcall, print, 5)) print(xpcall(function(...) return select("#", ...) end, print, nil, nil))
print(select("#", pcall(function() return nil, nil end))) print(xpcall(error, function(m) error("again", 0) end, "e")) print(xpcall(error, function(m) error(m) end, "e"))
t("print", real_print, setmetatable({}, {__tostring = function() return 5 end})) t("print", real_print, setmetatable({}, {__tostring = function() return {} end})) t("print", real_print, setmetatable({}, {__name = "My.Type"}) == nil) t("tostring", function() return (tostring(setmetatable({}, {__name = "My.Type"})):gsub("0x%x+", "A")) end) t("tostring", function() return (tostring(setmetatable({}, {__name = 5})):gsub("0x%x+", "A")) end)
t("rawequal", rawequal) t("rawequal", rawequal, 1) print(rawequal(1, 1.0), rawequal("a", "a"), rawequal({}, {}), rawequal(0/0, 0/0)) t("rawlen", rawlen) t("rawlen", rawlen, 5) t("rawlen", rawlen, nil) t("rawget", rawget) t("rawget", rawget, {}) t("rawget", rawget, 5, 1) t("rawset", rawset, {}, 1) t("rawset", rawset, {}, nil, 1) t("rawset", rawset, {}, 0/0, 1) t("rawset", rawset, 5, 1, 1) print(type(rawset({}, 1, 2))) print(rawlen "abc", rawlen {1,2})
t("select", select) t("select", select, 0) t("select", select, -1) t("select", select, "x") t("select", select, 1.5, 1) t("select", select, -2, 1) t("select", select, "#x") print(select(-1, 1, 2), select("#"), select("#", nil, nil), select(3, 1, 2)) print(select(2^53, 1)) t("select", select, math.mininteger, 1) print(select("2", 1, 2, 3)) t("select", select, "-1")  t("select", select, "-1", 5)
t("setmetatable", setmetatable) t("setmetatable", setmetatable, {}) t("setmetatable", setmetatable, 1, {}) t("setmetatable", setmetatable, {}, 1) t("setmetatable", setmetatable, setmetatable({}, {__metatable = 1}), {}) t("setmetatable", setmetatable, setmetatable({}, {__metatable = false}), nil) 
t("tonumber", tonumber) t("tonumber", tonumber, {}) t("tonumber", tonumber, nil) t("tonumber", tonumber, "10", 1) t("tonumber", tonumber, "10", 37) t("tonumber", tonumber, 10, 10) t("tonumber", tonumber, nil, 10) t("tonumber", tonumber, {}, 10) t("tonumber", tonumber, "10", "x") t("tonumber", tonumber, "10", 2.5) t("tonumber", tonumber, "10", nil)
for _, s in ipairs{"10", " 10 ", "0x10", "0x", "1e1", "1e", "1e+", "inf", "nan", "0x1p4", "0x1p", "0x.8", "0x.", ".5", "5.", ".", "", " ", "1 2", "1\0", "\t1\n", "١", "1_000", "0b1", "+1", "-1", "+-1", "- 1", "0x-1", "-0x1", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "0xffffffffffffffff", "0x1ffffffffffffffff", "1e309", "-1e309", "1e-400", "0x1p-1080", "1E5", "0X1P+3", "00012", "1f", "1.5.5", "1..2", "infinity", "0e0", "-0", "-0.0", "1e5000000000", ("1"):rep(300), "0x" .. ("f"):rep(40), "\v\f1"} do local v = tonumber(s) print(#s < 50 and string.format("%q", s) or #s, v, math.type(v)) end
for _, c in ipairs{{"zz",36},{"ZZ",36},{"-ff",16},{" 11 ",2},{"12",2},{"",10},{" ",10},{"-",10},{"7fffffffffffffff",16},{"ffffffffffffffff",16},{"10000000000000000",16},{"1.0",10},{"1e1",16},{"0x10",16},{"-0",10},{"+5",10},{"9",9},{"1\0",10},{"--1",10}} do print(c[1], c[2], tonumber(c[1], c[2])) end
t("tostring", tostring) print(tostring(nil), tostring(1e15), tostring(1e14), tostring(-0.0), tostring(1e100), tostring(2^63), tostring(0/0):gsub("-",""), tostring(1/0), tostring(3.14159265358979), tostring(1e-5), 2^24, 1e16)
t("type", type) print(type(nil)) t("warn", warn) t("warn", warn, {}) t("warn", warn, "a", nil) t("warn", warn, 1, 2)
warn("@on") warn("@off")
print(_VERSION, _G == _G._G)
