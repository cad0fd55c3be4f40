-- expect: jumps into the scope of local 'x'
goto inside
local x = 1
::inside:: print(x)
