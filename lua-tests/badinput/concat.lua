-- expect: attempt to concatenate a table value (local 't')
local t = {}
return "x" .. t
