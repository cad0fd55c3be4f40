-- strings made in one call, without a safe point
local s = {}
for i = 1, 400000 do s[i] = ("%07d"):format(i) end
s = table.concat(s)
local keep = {}
return function()
  local n = 0
  while true do
    n = n + 1
    keep[n] = s:gsub(".......", {}) .. n
  end
end
