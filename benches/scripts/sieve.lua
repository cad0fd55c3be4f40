-- Sieve of Eratosthenes over a table of booleans.
local n = tonumber(arg and arg[1]) or 10000000
local function sieve(limit)
  local composite = {}
  for i = 1, limit do composite[i] = false end
  local count = 0
  for i = 2, limit do
    if not composite[i] then
      count = count + 1
      for j = i * i, limit, i do composite[j] = true end
    end
  end
  return count
end
print(n, sieve(n))
