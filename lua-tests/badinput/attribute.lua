-- expect: unknown attribute 'wrong'
local x <wrong> = 1
