-- §3.5: blocks, shadowing, _ENV, globals.
x = "global"
local x = x .. " local"
do local x = "block" print(x) end
print(x, _G.x, _ENV.x)
local function f() return y end
y = 5
print(f())
local function with(_ENV) z = 1 return z, w end
local env = { w = 2 }
print(with(env), env.z, z)
local g = load("a = 1; b = a + 1; return a, b", "=c", "t", setmetatable({}, { __index = _G }))
print(g(), a, b)
do
  local _ENV = { print = print }
  v = 1
  print(v, _ENV.v)
end
print(v)
local env2 = {}
local chunk = load("function h() return k end k = 3", "=c", "t", env2)
chunk()
print(env2.h(), env2.k, h)
do local print <const> = print; print("const function") end
if true then local inner = 1 end
print(inner)
while true do local w = 1 if w then break end end
for i = 1, 1 do local i = "shadow" print(i) end
local a, a = 1, 2
print(a)
repeat local done = true until done
local function rec(n) if n > 0 then return rec(n - 1) end return "rec" end
print(rec(3))
local nonrec = function(n) return nonrec end
print(nonrec(1))
print(_G._G == _G, _ENV == _G)
setmetatable(_G, { __index = function(_, k) return "default " .. k end, __newindex = function(t, k, v) rawset(t, k, v .. "!") end })
print(undefined1)
newglobal = "set"
print(newglobal)
setmetatable(_G, nil)
local t = { f = function(self) return self end, ["key with space"] = 1, [10] = "ten", 1, 2; 3 }
print(t:f() == t, t["key with space"], t[10], #t)
local s = [[
first newline dropped]]
print(s, #[==[]]]==], "\65\066\x43\u{44}\z
       E", 'a\
b', '\'"', "tab\tq\"")
print(#"\u{7FFFFFFF}", "\u{20AC}", "\a\b\f\v" == "\7\8\12\11", "a\0b" == "a\0b", #"a\0b")
;;; print "semicolons"
print(("x"):rep(3), #"abc" + 1, -2 ^ 2, not 1 == 2, 2 ^ -1)
print(type(nil), type(type), (("nested")))
