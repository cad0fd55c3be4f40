-- Deep recursion through a global function, with tail calls in between.
local n = tonumber(arg and arg[1]) or 9
local rounds = 3
function ack(m, k)
  if m == 0 then return k + 1 end
  if k == 0 then return ack(m - 1, 1) end
  return ack(m - 1, ack(m, k - 1))
end
local total = 0
for _ = 1, rounds do total = total + ack(3, n) end
print(total)
