-- Nested integer loops: remainders, bit operators and comparisons.
local n = tonumber(arg and arg[1]) or 28000000
local x, odd, hash = 1, 0, 0
for i = 1, n do
  x = (x * 1103515245 + 12345) & 0x7fffffff
  if x % 3 == 0 then odd = odd + 1 end
  hash = hash ~ (x << (i & 7))
end
print(n, odd, hash)
