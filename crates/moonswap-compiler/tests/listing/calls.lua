-- Calls: the link register between function and arguments, open lists.
local t, f = ...
f()
f(1, "two", t.three)
f(f(f(1)))
f(f(1), 2)
f((f()))
f(...)
t:method(1, f())
t.a.b:method "text" {}
local x, y, z = f()
local p, q = 1, f(), 2
local r = (...)
local list = {f(), 2, f()}
local function tail(n) return tail(n - 1) end
local function many(...) return 1, 2, ... end
local function method(self) return self:tail(1) end
local function paren() return (f()) end
return f(...)
