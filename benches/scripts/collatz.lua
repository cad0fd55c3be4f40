-- Longest Collatz chain: while loops with a branch that is hard to predict.
local n = tonumber(arg and arg[1]) or 380000
local best, bestlen = 0, 0
for start = 1, n do
  local k, len = start, 1
  while k ~= 1 do
    if k & 1 == 0 then k = k // 2 else k = 3 * k + 1 end
    len = len + 1
  end
  if len > bestlen then best, bestlen = start, len end
end
print(best, bestlen)
