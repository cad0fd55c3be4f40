-- How many registers a function may need, and the token at which it is too many:
-- each form is a text that needs about `n`, most of them with a syntax error behind.
local function C(s) local f, e = load(s, "=s") print(f and "ok" or e) end
local pre = "local " .. ("a,"):rep(199) .. "a\n"
local forms = {
 function(n) return "return f(" .. ("x,"):rep(n) .. "y)\nreturn" end,
 function(n) return "return f(" .. ("x,"):rep(n) .. "y" end,
 function(n) return "return f(" .. ("x,"):rep(n) .. ")" end,
 function(n) return "return f(" .. ("x,"):rep(n) .. "y z" end,
 function(n) return "return f(" .. ("x,"):rep(n) .. "..." .. ") z" end,
 function(n) return "return " .. ("x,"):rep(n) .. "{} z" end,
 function(n) return "return " .. ("x,"):rep(n) .. "function() end z" end,
 function(n) return "return " .. ("x,"):rep(n) .. "function() " end,
 function(n) return "return " .. ("x,"):rep(n) .. "a + b * c z" end,
 function(n) return "return " .. ("x,"):rep(n) .. "a.b.c[d] z" end,
 function(n) return "return " .. ("x,"):rep(n) .. "a:b'x' z" end,
 function(n) return "return " .. ("x,"):rep(n) .. "a:b" end,
 function(n) return "return " .. ("x,"):rep(n) .. "a:b(" end,
 function(n) return "return " .. ("x,"):rep(n) .. "'unfinished" end,
 function(n) return "return " .. ("x,"):rep(n) .. "-x" end,
 function(n) return "return " .. ("x,"):rep(n) .. "not x.y" end,
 function(n) return "return " .. ("x,"):rep(n) .. "a .. b .. c" end,
 function(n) return "return " .. ("x,"):rep(n) .. "a < b" end,
 function(n) return "return " .. ("x,"):rep(n) .. "a == 1" end,
 function(n) return "return " .. ("x,"):rep(n) .. "a and b or c" end,
 function(n) return "return " .. ("x,"):rep(n) .. "(a) z" end,
 function(n) return "return " .. ("x,"):rep(n) .. "f{g} z" end,
 function(n) return "return " .. ("x,"):rep(n) .. "f(g(h(i))) z" end,
 function(n) return "local t = f(" .. ("x,"):rep(n) .. "{a, b; c, d = 1, [e] = 2, e f})" end,
 function(n) return "local t = f(" .. ("x,"):rep(n) .. "{a,})" end,
 function(n) return "local t = f(" .. ("x,"):rep(n) .. "{a})" end,
 function(n) return "local t = f(" .. ("x,"):rep(n) .. "{a, b})" end,
 function(n) return "local t = f(" .. ("x,"):rep(n) .. "{a, b=c})" end,
 function(n) return "local t = f(" .. ("x,"):rep(n) .. "{[a]=c})" end,
 function(n) return "local t = f(" .. ("x,"):rep(n) .. "{[a.b]=c} x" end,
 function(n) return "local t = f(" .. ("x,"):rep(n) .. "{[a.b]=c.d} x" end,
 function(n) return "local t = f(" .. ("x,"):rep(n) .. "\n--c\n'y'\n--d\n)\n--e\n x" end,
 function(n) return pre .. ("x,"):rep(n % 60) .. "y = " .. ("1,"):rep(n % 60) .. "2 z" end,
 function(n) return pre .. "x.y, y.z, z[1] = " .. ("1,"):rep(n % 60) .. "2 z" end,
 function(n) return pre .. "return " .. ("x,"):rep(n % 60) .. "y z" end,
 function(n) return pre .. "for i = f(" .. ("x,"):rep(n % 60) .. "y),2 do end z" end,
 function(n) return pre .. "if f(" .. ("x,"):rep(n % 60) .. "y) then end z" end,
 function(n) return pre .. "while f(" .. ("x,"):rep(n % 60) .. "y z) do end" end,
 function(n) return pre .. "repeat until f(" .. ("x,"):rep(n % 60) .. "y) goto z" end,
 function(n) return pre .. "f(" .. ("f("):rep(n % 60) .. (")"):rep(n % 60) .. ")" end,
 function(n) return pre .. "f(" .. ("f:x("):rep(n % 60) .. (")"):rep(n % 60) .. ")" end,
 function(n) return pre .. "f(" .. ("f{"):rep(n % 60) .. ("}"):rep(n % 60) .. ")" end,
 function(n) return pre .. "f(" .. ("{1,"):rep(n % 60) .. ("}"):rep(n % 60) .. ")" end,
 function(n) return pre .. "return " .. ("1 .. "):rep(n % 60) .. " 2" end,
 function(n) return pre .. "return x" .. (" + (x"):rep(n % 60) .. (")"):rep(n % 60) end,
 function(n) return pre .. "return x" .. ("[x"):rep(n % 60) .. ("]"):rep(n % 60) end,
 function(n) return pre .. "return x" .. (" < (x"):rep(n % 60) .. (")"):rep(n % 60) end,
 function(n) return "return " .. ("f("):rep(n - 70) .. ("x,"):rep(n-240) .. "x" .. (")"):rep(n - 70) end,
 function(n) return "return " .. ("x,"):rep(n) .. "'y' .. z" end,
 function(n) return "return " .. ("x,"):rep(n) .. "x[1000] y" end,
 function(n) return "return " .. ("x,"):rep(n) .. "x < 1000 y" end,
 function(n) return "return " .. ("x,"):rep(n) .. "1 + x y" end,
 function(n) return "return " .. ("x,"):rep(n) .. "2 ^ x y" end,
 function(n) return "return " .. ("x,"):rep(n) .. "x.y.z.w y" end,
 function(n) return "return " .. ("x,"):rep(n) .. "x == nil y" end,
 function(n) return "return " .. ("x,"):rep(n) .. "nil == x y" end,
 function(n) return "return " .. ("x,"):rep(n) .. "(x)(y) y" end,
 function(n) return "local _ENV = {} return " .. ("x,"):rep(n) .. "(x)(y) y" end,
 function(n) return "local function g(...) return " .. ("x,"):rep(n) .. "... end x y" end,
 function(n) return "local function g(...) return " .. ("x,"):rep(n) .. "(...) end x y" end,
 function(n) return "local function g(...) return f(" .. ("x,"):rep(n) .. "...) end x y" end,
 function(n) return "local function g(...) return {" .. ("x,"):rep(n) .. "...} end x y" end,
 function(n) return "local " .. ("a,"):rep(150) .. "a = " .. ("f(),"):rep(n) .. "f() goto x" end,
 function(n) return "local " .. ("a,"):rep(150) .. "a = " .. ("f(),"):rep(n) .. "... x y" end,
}
for i, f in ipairs(forms) do
  for n = 246, 257 do io.write(i, " ", n, " ") C(f(n)) end
end

-- The links of calls inside each other do not count.
local function count(...) return select("#", ...) end
local deep = "return " .. ("f("):rep(190) .. ("1,"):rep(50) .. "2" .. (")"):rep(190)
local depth = 0
local f = assert(load(deep, "=deep", "t", { f = function(...) depth = depth + 1 return ... end }))
print(count(f()), depth)
local methods = "return " .. ("o:m("):rep(100) .. "o" .. (")"):rep(100)
local o = { n = 0 }
function o.m(self, x) self.n = self.n + 1 assert(x == self) return self end
print(load(methods, "=methods", "t", { o = o })() == o, o.n)
print(#string.dump(f) > 0, count(load(string.dump(f), "d", "b", { f = function(...) return ... end })()))
