-- Captured variables: registers, through functions, loops, environments.
local counter, limit = 0, 10
local function outer(p)
  local l = p
  for i = 1, 2 do
    local fresh = i
    callbacks[i] = function() fresh = fresh + 1; return fresh, counter, l end
  end
  return function() counter = counter + limit; return function() return p, counter end end
end
do local counter = 5; inner = function() return counter end end
local counter = 7
again = function() return counter end
local _ENV = {print = print}
print(x)
function shadow() return y end
