-- string.format with the usual conversions, and back with tonumber.
local n = tonumber(arg and arg[1]) or 270000
local format = string.format
local len, back = 0, 0
for i = 1, n do
  local s = format("%5d|%-8s|%08.3f|%x|%q", i, "k" .. i % 100, i / 7, i * 31, i % 5)
  len = len + #s
  len = len + #format("%g %s %s", i / 3, i, i * 0.5)
  back = back + tonumber(format("%.2f", i / 4))
end
print(len, back)
