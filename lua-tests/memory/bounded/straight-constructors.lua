-- at most 40 MiB
local t = {}
for i = 1, 3000 do t[i] = "t={{},{x=1,y={1,2,3}},function() return t end} t={t,{},{}}" end
local f = assert(load("local t " .. table.concat(t, " "), "=constructors"))
collectgarbage()
for i = 1, 20 do f() end
