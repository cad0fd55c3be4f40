-- Building strings: .. chains, number to string, rep, sub, byte, char.
local n = tonumber(arg and arg[1]) or 1200000
local sub, byte, char, rep, upper = string.sub, string.byte, string.char, string.rep, string.upper
local acc, hash = 0, 0
for i = 1, n do
  local s = "item" .. i .. ":" .. (i % 17) .. ";"
  acc = acc + #s
  local c = char(97 + i % 26, 98 + i % 20) .. sub(s, 2, 5)
  hash = (hash * 31 + byte(c, 1) + byte(c, -1)) % 1000000007
  if i % 50 == 0 then acc = acc + #upper(rep(c, 20, "-")) end
end
local parts = ""
for i = 1, 6000 do parts = parts .. (i % 10) end
print(acc, hash, #parts)
