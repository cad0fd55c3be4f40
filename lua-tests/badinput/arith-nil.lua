-- expect: attempt to perform arithmetic on a nil value (field 'x')
local t = {}
return t.x + 1
