-- expect: attempt to call a nil value (method 'missing')
local t = {}
t:missing()
