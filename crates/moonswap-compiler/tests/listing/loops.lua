-- Loops and jumps.
for i = 1, 10 do print(i) end
for i = 10, 1, -1 do local f = function() return i end if f() then break end end
for x = 0.5, 2 do end
for k, v in pairs(t) do print(k, v) end
for a, b, c, d, e, f in iterate, state do if a then goto continue end print(f) ::continue:: end
while true do
  local up = 1
  local function get() return up end
  if get() then goto out end
end
::out::
repeat local n = f(); g = function() return n end until n
do ::top:: local v = f(); if v then goto top end end
for i = 1, 3 do for j = 1, 3 do if j == 2 then goto next end end ::next:: end
