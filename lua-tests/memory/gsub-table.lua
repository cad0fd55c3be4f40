-- strings made in one call, without a safe point
local s = {}
for i = 1, 60000 do s[i] = ("%07d"):format(i) end
s = table.concat(s)
return function()
  local keep = {}
  local n = 0
  while true do
    n = n + 1
    keep[n] = s:gsub(".......", {}) .. n
  end
end
