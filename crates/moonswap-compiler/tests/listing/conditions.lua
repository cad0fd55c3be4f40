-- Conditions become jumps; values of conditions reuse their jumps.
local a, b, c = ...
if a < b then f(1) elseif a <= 5 or b > 2 and not c then f(2) else f(3) end
if a == nil or b ~= "x" or 1 == c or a == b then f(4) end
if 5 < a and 5.0 >= b and a < 100000 then f(5) end
local d = a and b or c
local e = a == b
local g = a < b and c
local h = not (a and b)
local i = a or false
local j = nil and a
local k = 1 and a
local l = f() or f() and {}
a = b or a
while a do if b then break end a = a.next end
repeat local z = a.x until z > 3 or not z
return a and b, not not c
